"""`make shots`: the dashboard over the demo's past, a picture of every page in every look, and an index to see them all."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import timedelta
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import click
from playwright.sync_api import sync_playwright

from core import log
from core.clock import utc_now
from core.proxies import spare_loopback
from core.warehouse import Warehouse
from metrics.detection.records import incidents_between
from metrics.trace import MessagesQuestion, messages
from sandbox.demo import HISTORY_DAYS, VERIFICATIONS_PER_DAY
from sandbox.servers.base import system_program
from sandbox.shots.camera import LOOKS, photograph
from sandbox.shots.past import open_past
from sandbox.stack import Ports, lay_out
from sandbox.supervisor import Supervisor

PAGES = ("overview", "carriers", "providers", "regions", "funnel", "incidents", "messages", "operations", "reports")
_HOME = Path(".heliograph")


@click.command("shots")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=_HOME / "shots", show_default=True, help="Where the pictures go.")  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=_HOME / "shots-data", show_default=True, help="Where the warehouse lives; used again while it is there. Delete it for a fresh past.")  # fmt: skip
@click.option("--days", default=HISTORY_DAYS + 1, show_default=True, type=click.IntRange(8), help="Length of the past.")
@click.option("--per-day", default=VERIFICATIONS_PER_DAY, show_default=True, type=click.IntRange(100), help="Verifications a day.")  # fmt: skip
@click.option("--page", "pages", multiple=True, type=click.Choice([*PAGES, "incident", "message"]), help="Only this one; repeatable.")  # fmt: skip
@click.option("--look", "looks", multiple=True, type=click.Choice([look.name for look in LOOKS]), help="Only this look; repeatable.")  # fmt: skip
def main(out: Path, data: Path, days: int, per_day: int, pages: tuple[str, ...], looks: tuple[str, ...]) -> None:
    """Photograph every page of the dashboard, light and dark, wide and narrow.

    The first run makes up two weeks of the demo's past and has the detector judge the last day; that takes a minute or
    two. Open index.html in the folder of the pictures to see all of them side by side.
    """
    log.configure("shots", level="warning")
    spare_loopback(os.environ)
    out.mkdir(parents=True, exist_ok=True)
    with Supervisor(data, say=_say) as supervisor:
        stack = lay_out(data, Ports.pick())
        for server in stack.servers:
            if server.name in ("clickhouse", "nats"):
                supervisor.start(server.process)
        with closing(open_past(stack.folder, stack.settings)) as past:
            past.load(days=days, per_day=per_day, say=_say)
            supervisor.start(stack.plan_dashboard())
            places = [place for place in _places(past.warehouse) if not pages or place[0] in pages]
            chosen = [look for look in LOOKS if not looks or look.name in looks]
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=system_program("chromium", hint="apt-get install chromium"),
                    args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
                )
                past.go_on()
                for look in chosen:
                    for path in photograph(browser, stack.dashboard_url, places, look, out):
                        _say(f"  {path}")
                        past.go_on()
                browser.close()
    _say(f"All of them: {_index(out)}")


def _places(warehouse: Warehouse) -> list[tuple[str, str]]:
    """The pages; the incident that cost most in the last day; the story of a message that was tried twice."""
    now = utc_now()
    day = now - timedelta(days=1)
    places = [(name, "" if name == "overview" else name) for name in PAGES]
    found = incidents_between(warehouse, day, now)
    if found:
        worst = max(found, key=lambda one: one.affected)
        places.append(("incident", "incidents?" + urlencode({"incident": worst.id})))
    rows = messages(warehouse, MessagesQuestion(start=day, end=now, most=2_000))
    twice = rows.loc[rows["attempt"] > 1, "request_id"]
    if len(twice):
        places.append(("message", "messages?" + urlencode({"request": str(twice.iloc[0])})))
    return places


def _index(out: Path) -> Path:
    """A page that shows all pictures of the folder, a row a page of the dashboard, each leading to its full size."""
    rows = []
    for name in (*PAGES, "incident", "message"):
        cells = "".join(
            f'<td><a href="{file}"><img src="{file}" alt="{name}, {look.name}" loading="lazy"></a></td>'
            for look in LOOKS
            if (out / (file := f"{name}-{look.name}.png")).exists()
        )
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    path = out / "index.html"
    style = "img{width:340px;max-height:560px;object-fit:cover;object-position:top;border:1px solid #999}td,th{vertical-align:top;padding:6px}"
    path.write_text(
        f"<!doctype html><meta charset=utf-8><title>Pages of the dashboard</title><style>{style}</style>"
        f"<table>{''.join(rows)}</table>\n",
        encoding="utf-8",
    )
    return path


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
