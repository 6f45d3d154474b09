"""`heliograph demo` and `heliograph smoke`: the product on embedded servers, to look at and to check."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import click

from core.settings import ENV_PREFIX

DEMO_FOLDER = Path(".heliograph/demo")


def _forget_own_settings() -> None:
    """The stack has settings of its own: an address of yours in the environment must not reach its programs."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        click.echo(f"{name} is set and has no effect here", err=True)
        del os.environ[name]


def _fault_help() -> str:
    from sandbox.world import NAMED_FAULTS

    width = max(map(len, NAMED_FAULTS))
    rows = "\n".join(f"  {name:<{width}}  {fault.summary}" for name, fault in NAMED_FAULTS.items())
    return f"\b\nFaults:\n{rows}"


class _Demo(click.Command):
    """A command whose help ends with the faults there are; they are looked up only when somebody asks."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(_fault_help())


@click.command(cls=_Demo)
@click.option(
    "--folder", type=click.Path(path_type=Path), default=DEMO_FOLDER, show_default=True, help="Data, logs, settings."
)
@click.option("--fresh", is_flag=True, help="Forget what an earlier demo left in the folder.")
@click.option("--fault", default="", metavar="NAME", help="Break something three minutes after the start.")
@click.option("--api-port", type=click.IntRange(0, 65_535), default=0, help="Default 8080, or a free one.")
@click.option("--dashboard-port", type=click.IntRange(0, 65_535), default=0, help="Default 8501, or a free one.")
@click.option("--mailbox-port", type=click.IntRange(0, 65_535), default=0, help="Default 8025, or a free one.")
def demo(folder: Path, fresh: bool, fault: str, api_port: int, dashboard_port: int, mailbox_port: int) -> None:
    """Run everything with simulated providers and subscribers, and two weeks of simulated past.

    No root, no container, no network: SQLite, Valkey, NATS and the ClickHouse engine come as packages. The first start
    loads the past, which takes under a minute; later ones go on where the last one stopped. Ctrl-C stops everything.

    \b
      heliograph demo
      heliograph demo --fault carrier-drop
      heliograph demo --fresh
    """
    from sandbox.demo import Wishes, run
    from sandbox.world import NAMED_FAULTS

    if fault and fault not in NAMED_FAULTS:
        raise click.BadParameter(
            f"no fault is called {fault!r}; there are {', '.join(NAMED_FAULTS)}", param_hint="--fault"
        )
    _forget_own_settings()
    with contextlib.suppress(KeyboardInterrupt):  # everything is stopped by then, also when it came while starting
        run(Wishes(folder, fresh, fault, api_port, dashboard_port, mailbox_port))


@click.command()
@click.option("--seed", required=True, type=click.IntRange(0), help="The same seed draws the same world.")
@click.option(
    "--out", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where to write."
)
@click.option(
    "--volume",
    type=click.Choice(["small", "large"]),
    default="small",
    show_default=True,
    help="120 or 480 requests a minute.",
)
@click.option("--rate-per-minute", type=click.FloatRange(1, 2_000), help="Requests a minute, instead of --volume.")
@click.option("--baseline-days", default=14, show_default=True, type=click.IntRange(1, 60), help="Days without faults.")
@click.option("--test-days", default=7, show_default=True, type=click.IntRange(1, 30), help="Days with faults.")
@click.option(
    "--faults", default=40, show_default=True, type=click.IntRange(1, 500), help="Faults in the days with faults."
)
def drill(
    seed: int, folder: Path, volume: str, rate_per_minute: float | None, baseline_days: int, test_days: int, faults: int
) -> None:
    """Draw a world with faults whose truth is known, and write its events and labels as files.

    Writes send.parquet, receipt.parquet and verify.parquet, which `heliograph ingest` reads, and labels.json: what was
    broken or only unusual, where, from when to when, and whom it cost. The first day is Monday, 2 March 2026.

    \b
      heliograph drill --seed 1 --out drill
      heliograph drill --seed 1 --out drill --rate-per-minute 30 --baseline-days 8 --test-days 1 --faults 5
    """
    from sandbox.drills.main import run

    run(
        folder,
        seed=seed,
        volume=volume,
        rate_per_minute=rate_per_minute,
        baseline_days=baseline_days,
        test_days=test_days,
        faults=faults,
    )


@click.command()
@click.option("--count", default=300, show_default=True, type=click.IntRange(1, 100_000), help="Verifications to send.")
@click.option("--store-url", default="", help="Primary store instead of SQLite, as in [store] url.")
@click.option("--keep", type=click.Path(path_type=Path), help="Work in this folder and leave it there, to look into.")
def smoke(count: int, store_url: str, keep: Path | None) -> None:
    """Send verifications through a whole stack in a temporary folder, and count what arrived everywhere.

    Prints one line and ends with status 0 when nothing was lost and nothing doubled.
    """
    from sandbox.smoke import run

    _forget_own_settings()
    raise SystemExit(run(count, store_url=store_url, keep=keep))


_UNDER_LOAD = [
    click.option("--rate", default=40.0, show_default=True, type=click.FloatRange(1, 2_000), help="Calls a second."),
    click.option("--seed", default=0, show_default=True, help="The same seed draws the same people and faults."),
    click.option("--embedded", is_flag=True, help="SQLite and Valkey instead of MariaDB and Redis."),
    click.option(
        "--keep", type=click.Path(path_type=Path), help="Work in this folder and leave it there, to look into."
    ),
]


def _under_load(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_UNDER_LOAD):
        command = option(command)
    return command


@click.command()
@click.option("--only", default="", metavar="F1,F6", help="Only these; F3 means F3a, F3b and so on.")
@click.option("--quick", is_flag=True, help="A few faults, short ones.")
@click.option(
    "--pairs", default=0, metavar="N", type=click.IntRange(0, 1_000), help="N random pairs, two faults at once."
)
@_under_load
def chaos(only: str, quick: bool, pairs: int, rate: float, seed: int, embedded: bool, keep: Path | None) -> None:
    """Break things under load, and look afterwards whether anything was lost, doubled, or approved twice.

    Two instances of the service run on real MariaDB, Redis, NATS and the ClickHouse engine; people ask for codes
    through one and enter them through the other, while stores, networks and providers are killed, hung, cut off or
    filled. Prints a table, a row a fault; ends with status 0 when every row is as it should be.

    \b
      heliograph chaos --quick
      heliograph chaos --only F1,F6 --keep /tmp/chaos
      heliograph chaos --pairs 10 --seed 7
    """
    import numpy as np

    from sandbox.chaos import nemesis
    from sandbox.chaos.cluster import Plan
    from sandbox.chaos.faults import MATRIX, QUICK
    from sandbox.chaos.matrix import Wishes, run

    words = [word.strip() for word in only.split(",") if word.strip()] or (list(QUICK) if quick and not pairs else [])
    try:
        faults = nemesis.chosen(MATRIX, words)
    except LookupError as error:
        raise click.BadParameter(str(error), param_hint="--only") from None
    if pairs:
        plan = Plan(folder=Path(), embedded=embedded)
        faults = nemesis.pairs(faults, plan, count=pairs, rng=np.random.default_rng(seed))
    if not faults:
        raise click.BadParameter("no pair can be made of these", param_hint="--pairs")
    _forget_own_settings()
    raise SystemExit(run(faults, Wishes(seed=seed, rate=rate, quick=quick, embedded=embedded, keep=keep)))


@click.command()
@click.option("--minutes", default=30.0, show_default=True, type=click.FloatRange(0.5, 10_000), help="How long.")
@_under_load
def soak(minutes: float, rate: float, seed: int, embedded: bool, keep: Path | None) -> None:
    """Break something every 20 to 40 seconds for a long time, under load, and judge the whole at the end.

    Says what it does meanwhile; prints one table at the end, a row a fault and one over everything.

    \b
      heliograph soak --minutes 30
    """
    from sandbox.chaos import matrix
    from sandbox.chaos.faults import MATRIX

    _forget_own_settings()
    wishes = matrix.Wishes(seed=seed, rate=rate, embedded=embedded, keep=keep)
    raise SystemExit(matrix.soak(MATRIX, wishes, minutes=minutes))


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; end with status 1 when a document is stale.")
def docs(check: bool) -> None:
    """Write the documents that are made from code: docs/settings.md, docs/metrics.md, docs/events.md, docs/commands.md."""
    from sandbox.documents import renew

    raise SystemExit(renew(check=check))
