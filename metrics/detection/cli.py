"""`heliograph detect` looks for degraded channels: over history as if time passed, or now. `heliograph deployment` notes what
may explain one."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


@click.group()
def detect() -> None:
    """Find degraded channels, explain them, and try the detector on history.

    The scheduler runs detection every minute by itself; `replay` is for tuning and for looking back, `run` judges what
    has not been judged yet and stops.
    """


@detect.command()
@click.option(
    "--from", "start", type=_TIME, metavar="TIME", help="First minute to judge, in UTC; a day after the data begin."
)
@click.option("--to", "end", type=_TIME, metavar="TIME", help="End, in UTC; the end of the data by default.")
@click.option(
    "--events",
    "paths",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Events from this file instead of the warehouse: .jsonl, .csv or .parquet, plain or .gz; repeatable.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.jsonl",
    help="Where the notifications go; the terminal by default.",
)
@click.option(
    "--false-alarms-per-day", type=click.FloatRange(0, 100, min_open=True), help="Instead of the one in [detection]."
)
@click.argument("more", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def replay(
    start: datetime | None,
    end: datetime | None,
    paths: tuple[Path, ...],
    out: Path | None,
    false_alarms_per_day: float | None,
    more: tuple[Path, ...],
) -> None:
    """Run the detector over history as if time passed: at each minute it sees what had arrived by then.

    What lies before --from is its baseline: give it a week or two where there is one, a day at least. One JSON line a
    notification (opened, updated, resolved, reopened): event, detected_at, incident_id, kind, metric, scope, onset,
    resolved_at, affected (people), messages, share, and the sentence an operator would read. Nothing is written into the warehouse.

    \b
      heliograph detect replay --from 2026-11-20 --to 2026-11-21 --out alerts.jsonl
      heliograph detect replay --events march.parquet --events april.parquet --out alerts.jsonl
    """
    from core import log, settings
    from metrics.detection.main import replay_to

    log.configure("detect", level="warning")
    told = replay_to(settings.load(), start=start, end=end, paths=(*paths, *more), out=out, budget=false_alarms_per_day)
    click.echo(told, err=True)


@detect.command()
def run() -> None:
    """Judge the minutes that were not judged yet, write what was found into the warehouse, and stop.

    This is what the scheduler does every minute. While one with the same [alerts] folder runs, it is left to that.
    """
    from core import log, settings
    from metrics.detection.main import run_once

    log.configure("detect", level="warning")
    for line in run_once(settings.load()):
        click.echo(line)


@click.command()
@click.argument("what")
@click.option("--at", metavar="TIME", help="When, as 2026-11-26T06:30:00Z; UTC without a zone. Now by default.")
@click.option("--app", multiple=True, metavar="NAME", help="Only messages of this app; repeatable, as those below.")
@click.option("--provider", multiple=True, metavar="NAME", help="Only messages through this provider.")
@click.option("--carrier", multiple=True, metavar="NAME", help="Only messages to this carrier.")
@click.option("--country", multiple=True, metavar="CODE", help="Only messages to this country.")
@click.option("--region", multiple=True, metavar="NAME", help="Only messages to this region.")
@click.option("--purpose", multiple=True, metavar="NAME", help="Only messages for this purpose.")
@click.option("--template", multiple=True, metavar="NAME", help="Only messages with this template.")
@click.option("--by", metavar="NAME", default="", help="Who notes it. By default the user who runs this.")
def deployment(what: str, at: str | None, by: str, **scope: tuple[str, ...]) -> None:
    """Note that WHAT was deployed, as the last step of a pipeline.

    The dashboard marks it on the panels of the Carriers page and beside incidents that began within an hour of it. It silences
    nothing and changes nothing that detection finds. Needs nothing but the warehouse that [warehouse] in the settings names
    (HELIOGRAPH_WAREHOUSE_HOST and so on in the environment). Operators withdraw it on the Incidents page.

    \b
      heliograph deployment "checkout 4.2"
      heliograph deployment "checkout 4.2" --app checkout --by "pipeline 8123"
      heliograph deployment "new route" --provider aurora --country DE --country AT --at 2026-11-26T06:30:00Z
    """
    from core import log, settings
    from metrics.detection.deployments import note

    log.configure("deployment", level="warning")
    named = {name: values for name, values in scope.items() if values}
    click.echo(note(settings.load(), what, at=at, scope=named, by=by))
