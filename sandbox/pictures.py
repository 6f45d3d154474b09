"""Makes the pictures of mails in docs/pictures from a seeded past: two reports and three alerts, one as a telephone shows it.

What broke is found by detection, minute by minute; every figure in the mails is counted in the warehouse. Run by `make pictures`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from pydantic import SecretStr

from core import warehouse as door
from core.alerts import Alerts
from core.alerts.channels import MailChannel
from core.alerts.main import assemble
from core.alerts.rendering import Rendering
from core.archive import page
from core.clock import ManualClock
from core.errors import QueueUnavailable
from core.mail import KeptMail
from core.queue import StreamState
from core.settings import Settings
from core.settings.servers import Warehouse as WarehouseSettings
from core.settings.watching import Alerts as AlertSettings
from core.settings.watching import Detection
from core.warehouse import Warehouse
from ingest.files import ingest_file
from ingest.sink import Sink
from metrics.detection.incidents import Event, Kind, Notification
from metrics.detection.job import Job
from metrics.detection.records import evidence
from reports.gather import gather
from reports.render import render
from reports.spans import Day, Week
from reports.watch.incidents import Teller
from reports.watch.silence import SilenceWatch
from sandbox.gateway.launch import start_gateway
from sandbox.history import write_history
from sandbox.servers.base import system_program
from sandbox.world import NAMED_FAULTS, Fault, World

PICTURES = Path("docs/pictures")
ZONE = "Asia/Shanghai"
END = datetime(2026, 11, 24, 0, 5, tzinfo=UTC)
_DAYS, _PER_DAY, _SEED = 15, 24_000, 7
_BEFORE, _AFTER, _STEP = timedelta(minutes=10), timedelta(minutes=60), timedelta(minutes=5)
_DASHBOARD = "https://dashboard.example.org"
_BROKEN = datetime(2026, 11, 23, 6, 3, tzinfo=UTC)
_OUT = datetime(2026, 11, 22, 8, 40, tzinfo=UTC)

Pages = dict[str, str]


def main() -> None:
    """Draw all of them."""
    folder = Path(tempfile.mkdtemp(prefix="pictures-"))
    running = start_gateway(folder / "clickhouse")
    try:
        found = WarehouseSettings(host=running.host, port=running.port, username=running.user,
                                  password=SecretStr(running.password))  # fmt: skip
        with closing(door.connect(found)) as warehouse:
            warehouse.migrate()
            pages = make_pages(warehouse, folder)
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=system_program("chromium", hint="apt-get install chromium"),
            args=["--no-sandbox", "--disable-gpu"],
        )
        for name, html in pages.items():
            _photograph(browser, name, html)
        browser.close()


def make_pages(warehouse: Warehouse, folder: Path) -> Pages:
    """Every mail as a page of HTML, by the name of its picture."""
    drop = replace(
        NAMED_FAULTS["carrier-drop"].fault, carrier="China Mobile", start=_BROKEN, end=_BROKEN + timedelta(minutes=97)
    )
    outage = replace(NAMED_FAULTS["provider-outage"].fault, start=_OUT, end=_OUT + timedelta(minutes=41))
    _load(warehouse, folder, (drop, outage))
    told = [one for fault in (outage, drop) for one in watched(warehouse, fault)]
    return _reports(warehouse) | _alerts(warehouse, folder, told)


def watched(warehouse: Warehouse, fault: Fault) -> Sequence[Notification]:
    """What detection tells of a fault, judging every minute from before it until well after it, some at a time."""
    job, now = Job(Detection()), fault.start - _BEFORE
    told: list[Notification] = []
    while now < (fault.end or END) + _AFTER:
        told += job.minute(warehouse, now).told
        now += _STEP
    return told


def _of(told: Iterable[Notification], event: Event, kind: Kind) -> Notification:
    """The last notice of that event of an incident of that name."""
    found = [one for one in told if (one.event, one.incident.kind) == (event, kind)]
    if not found:
        heard = ", ".join(f"{one.event} {one.incident.kind}" for one in told) or "nothing"
        raise SystemExit(f"detection told of no {kind} that is {event}: {heard}")
    return found[-1]


def _load(warehouse: Warehouse, folder: Path, faults: tuple[Fault, ...]) -> None:
    paths = write_history(
        folder / "past", world=World(seed=_SEED, faults=faults), end=END, days=_DAYS, verifications_per_day=_PER_DAY,
        progress=lambda done, total: None,
    )  # fmt: skip
    sink = Sink(warehouse, clock=lambda: END)
    for path in paths:
        ingest_file(path, sink)


def _reports(warehouse: Warehouse) -> Pages:
    now = END + timedelta(minutes=5)
    day, week = (
        Day(datetime(2026, 11, 23, tzinfo=UTC).date(), ZONE),
        Week(datetime(2026, 11, 16, tzinfo=UTC).date(), ZONE),
    )
    pages = {}
    for name, span in (("report", day), ("report-week", week)):
        report = gather(warehouse, span, now=now, on_time_seconds=60)
        pages[name] = render(report, dashboard_url=_DASHBOARD).page()
    return pages


def _alerts(warehouse: Warehouse, folder: Path, told: Sequence[Notification]) -> Pages:
    opened = _of(told, "opened", "delivery-drop")
    clock, mail, teller = ManualClock(opened.at), KeptMail(), Teller(ZONE, _DASHBOARD)
    channel = MailChannel(
        "mail", mail, Rendering(ZONE), sender="Heliograph <h@example.org>", recipients=["ops@example.org"]
    )
    desk = assemble(Settings(alerts=AlertSettings(folder=folder / "alerts")), [channel], clock=clock)

    def tell(one: Notification) -> None:
        clock.now = one.at
        frame = evidence(warehouse, one.incident.id)
        known = frame[frame["minute"] < one.at]
        desk.tell(teller.alert(one, known, is_known=one.event != "opened")).result()
        desk.deliver()

    tell(opened)
    _data_stops(warehouse, desk, clock)
    tell(_of(told, "opened", "provider-outage"))
    tell(_of(told, "resolved", "provider-outage"))
    desk.close()
    return {
        "alert-opened": page(mail.sent[0]),
        "alert-updated": page(mail.sent[2]),
        "alert-resolved": page(mail.sent[-1]),
    }


def _data_stops(warehouse: Warehouse, desk: Alerts, clock: ManualClock) -> None:
    def unreachable() -> StreamState:
        raise QueueUnavailable("NATS at 127.0.0.1:4222 does not answer")

    states: list[Callable[[], StreamState]] = [unreachable, lambda: StreamState(214, 9_000_000, 214)]
    for minutes, state in zip((31, 34), states, strict=True):
        clock.now = END + timedelta(minutes=minutes)
        SilenceWatch(desk, queue_state=state, silence_minutes=10).look(warehouse, now=clock.now)
        desk.deliver()


def _photograph(browser: Browser, name: str, html: str) -> None:
    looks = [("", 672)]
    if name == "alert-opened":
        looks.append(("-narrow", 375))
    for suffix, width in looks:
        opened = browser.new_page(viewport={"width": width, "height": 200})
        opened.set_content(html)
        path = PICTURES / f"{name}{suffix}.png"
        opened.screenshot(path=path, full_page=True)
        opened.close()
        sys.stderr.write(f"{path} written\n")


if __name__ == "__main__":
    main()
