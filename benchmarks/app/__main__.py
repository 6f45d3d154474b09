"""`make bench-app`: how soon the last chart of every page is drawn, beside bare Streamlit pages that show as much."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from playwright.sync_api import Browser
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from app.palette import THEME
from benchmarks.app import bare, past, table
from benchmarks.app.table import Row
from benchmarks.app.visits import Link, Place, Reader, chromium
from benchmarks.warehouse.load import ATTEMPTS_MIN
from core import warehouse as door
from core.warehouse import Warehouse
from sandbox.children import Process, http_answers
from sandbox.ports import LOOPBACK, free_port
from sandbox.stack import Ports, lay_out
from sandbox.supervisor import Supervisor

PAGES = ("Overview", "Carriers", "Providers", "Regions", "Funnel", "Incidents", "Messages", "Operations", "Reports")
_INCIDENT = "Incident"
_KEPT_SECONDS = 15
"""For so long the dashboard keeps answers about no window, like the words of operators."""

_START = Place("Start", "", 0, 0, 0)


@click.command()
@click.option(
    "--attempts",
    default=20_000_000,
    show_default=True,
    type=click.IntRange(min=ATTEMPTS_MIN),
    help="In 40 days; the pages show the last one.",
)
@click.option("--rounds", default=3, show_default=True, help="How often everything is measured; medians are printed.")
@click.option(
    "--page", "pages", multiple=True, type=click.Choice([*PAGES, _INCIDENT]), help="Only this one; repeatable."
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep what was loaded, and use it again; a folder of the warehouse's benchmark will do.",
)
def main(attempts: int, rounds: int, pages: tuple[str, ...], keep: Path | None) -> None:
    """Open every page of the dashboard in Chromium over a made-up past, and time it until all of it is drawn.

    Each is opened in a new browser session and by a click from another page, with answers that nobody has asked for before
    (cold) and with answers that the dashboard still has (warm); in turn with a bare Streamlit page that shows as many charts,
    tables and frames of constant data. Takes a quarter of an hour besides loading, which takes as long at 20 million attempts.
    """
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="heliograph-bench-")))
        changes = {"warehouse": {"database": f"bench_{attempts}"}}
        laid = lay_out(folder, Ports.pick(), changes=changes)
        supervisor = stack.enter_context(Supervisor(folder, say=_say))
        for server in laid.servers:
            if server.name in ("clickhouse", "nats"):
                supervisor.start(server.process)
        end = past.prepare(laid.settings, attempts)
        dashboard = supervisor.start(laid.plan_dashboard())
        browser = stack.enter_context(chromium())
        reader = Reader(browser, laid.dashboard_url, dashboard)
        warehouse = door.connect(laid.settings.warehouse)
        links = past.links(end)
        rows = _looked_at(reader, _places(pages), links, warehouse)
        rival = _rival(supervisor, browser, rows, past.mail(laid.settings, folder / "bare.html"))
        _measure(rows, reader, rival, links, rounds)
    table.show(rows, attempts)


def _places(wanted: Sequence[str]) -> list[Place]:
    named = [name for name in (*PAGES, _INCIDENT) if not wanted or name in wanted]
    return [
        Place("Incidents", "incidents?incident={incident}")
        if name == _INCIDENT
        else Place(name, "" if name == "Overview" else name.lower())
        for name in named
    ]


def _looked_at(reader: Reader, places: Sequence[Place], links: Iterator[Link], warehouse: Warehouse) -> list[Row]:
    """What is on each page, and how many questions it asks when nothing of it is known. Warms the server up, too."""
    rows = []
    for place in places:
        for pause in (0, _KEPT_SECONDS):  # the first one opens connections, which ask for themselves
            time.sleep(pause)
            before = past.questions_asked(warehouse)
            with reader.session() as page:
                reader.opened(page, place, next(links))
                counted = reader.counted(page, place)
            asked = past.questions_asked(warehouse) - before - 1
        rows.append(Row(counted, asked, defaultdict(list)))
        _say(
            f"  {place.title}: {counted.charts} charts, {counted.tables} tables, {counted.frames} frames, {asked} questions"
        )
    return rows


def _rival(supervisor: Supervisor, browser: Browser, rows: Sequence[Row], framed: Path) -> Reader:
    port = free_port()
    options = {
        "server.address": LOOPBACK,
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
    }
    options |= {"browser.gatherUsageStats": "false", "client.toolbarMode": "viewer", **THEME}
    names = sorted({_bare(row.place).title for row in rows})
    child = supervisor.start(
        Process(
            name="bare",
            argv=[sys.executable, "-m", "streamlit", "run", bare.__file__, *(f"--{name}={value}" for name, value in options.items()), "--", str(framed), *names],
            is_ready=http_answers(f"http://{LOOPBACK}:{port}/_stcore/health"),
            ports=[port],
        )
    )  # fmt: skip
    reader = Reader(browser, f"http://{LOOPBACK}:{port}", child)
    with reader.session() as page:
        reader.opened(page, _bare(rows[0].place))
    return reader


def _bare(place: Place) -> Place:
    name = bare.titled(place.charts or 0, place.tables or 0, place.frames or 0)
    return Place(name, name, place.charts, place.tables, place.frames)


def _measure(rows: Sequence[Row], reader: Reader, rival: Reader, links: Iterator[Link], rounds: int) -> None:
    bars = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with bars:
        bar = bars.add_task("opening", total=rounds * len(rows))
        for _ in range(rounds):
            for row in rows:
                bars.update(bar, description=f"opening {row.name}")
                _round(row, reader, rival, links)
                bars.advance(bar)


def _round(row: Row, reader: Reader, rival: Reader, links: Iterator[Link]) -> None:
    """All ways to one page, once."""
    place, plain = row.place, _bare(row.place)
    link = next(links)
    for kind in ("new cold", "new warm"):
        with reader.session() as page:
            row.visits[kind].append(reader.opened(page, place, link))
    with rival.session() as page:
        row.visits["new bare"].append(rival.opened(page, plain))
    if "?" in place.path:
        return
    start = Place("Reports", "reports") if place.title == "Overview" else Place("Overview", "")
    with reader.session() as page:
        reader.opened(page, start, next(links))
        row.visits["turn cold"].append(reader.turned(page, place))
        reader.turned(page, start)
        row.visits["turn warm"].append(reader.turned(page, place))
    with rival.session() as page:
        rival.opened(page, _START)
        row.visits["turn bare"].append(rival.turned(page, plain))


def _say(text: str) -> None:
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
