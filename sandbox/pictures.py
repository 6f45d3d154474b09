"""Makes the pictures of mails in docs/pictures from a seeded past: the report and three alerts, in light, dark and narrow.

What broke is known from the world's own labels; every figure in the mails is counted in the warehouse. Run by `make pictures`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
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
from core.warehouse import Warehouse
from ingest.files import ingest_file
from ingest.sink import Sink
from metrics.detection.incidents import Incident, Notification
from metrics.detection.people import WarehousePeople, per_message
from metrics.detection.records import keep
from metrics.query import Question, ask
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
_DAYS, _PER_DAY, _SEED = 15, 8_000, 7
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
    opened = measured(warehouse, drop, kind="delivery-drop", until=drop.start + timedelta(minutes=14))
    over = measured(warehouse, drop, kind="delivery-drop", until=drop.end or END)
    resolved = measured(warehouse, outage, kind="provider-outage", until=outage.end or END)
    keep(warehouse, [replace(one, state="resolved", resolved_at=one.updated_at) for one in (over, resolved)])
    return _reports(warehouse) | _alerts(warehouse, folder, opened, resolved, drop, outage)


def measured(warehouse: Warehouse, fault: Fault, *, kind: str, until: datetime) -> Incident:
    """The incident that a label of the world says there was, with the figures that the warehouse has of it."""
    channel = "accepted" if kind == "provider-outage" else "delivered"
    scope: dict[str, tuple[str, ...]] = {
        name: (value,) for name in ("provider", "carrier", "country", "region") if (value := getattr(fault, name))
    }
    frame = minutes_of(warehouse, scope, channel, start=fault.start, end=until)
    expected, observed, n = frame["expected"].sum(), frame["observed"].sum(), int(frame["n"].sum())
    short = max(0, round(expected - observed))
    return Incident(
        id=f"{kind}-{fault.start:%d%H%M}",
        kind=kind,  # type: ignore[arg-type]
        channel=channel,  # type: ignore[arg-type]
        scope=scope,
        onset=fault.start,
        detected_at=fault.start + timedelta(minutes=4),
        updated_at=until,
        affected=round(short * per_message(WarehousePeople(warehouse), channel, scope, fault.start, until, until)),  # type: ignore[arg-type]
        messages=short,
        lost=short,
        expected=expected / n if n else None,
        observed=observed / n if n else None,
        n=n,
        confidence=20.0,
    )


def minutes_of(
    warehouse: Warehouse, scope: dict[str, tuple[str, ...]], channel: str, *, start: datetime, end: datetime
) -> pd.DataFrame:
    """Evidence: what came a minute in the scope, beside the scope's own rate in the day before."""
    slug = "third_party_success_rate" if channel == "accepted" else "delivery_rate"
    before = ask(warehouse, Question((slug,), start - timedelta(days=1), start, filters=scope), now=END)
    rate = float(before[slug].iloc[0])
    rows = ask(warehouse, Question((slug,), start, end, bucket="1m", filters=scope), now=END)
    n = rows[f"{slug}_n"].astype(float)
    spread = 1.96 * (n * rate * (1 - rate)) ** 0.5
    expected = n * rate
    return pd.DataFrame(
        {
            "minute": rows["bucket"],
            "channel": channel,
            "expected": expected,
            "observed": rows[slug].fillna(0.0) * n,
            "low": (expected - spread).clip(lower=0),
            "high": expected + spread,
            "n": n.astype(int),
        }
    )


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


def _alerts(
    warehouse: Warehouse, folder: Path, opened: Incident, resolved: Incident, drop: Fault, outage: Fault
) -> Pages:
    clock, mail, teller = ManualClock(opened.updated_at), KeptMail(), Teller(ZONE, _DASHBOARD)
    channel = MailChannel(
        "mail", mail, Rendering(ZONE), sender="Heliograph <h@example.org>", recipients=["ops@example.org"]
    )
    desk = assemble(Settings(alerts=AlertSettings(folder=folder / "alerts")), [channel], clock=clock)

    def tell(one: Incident, event: str, fault: Fault) -> None:
        clock.now = one.updated_at
        start = fault.start - timedelta(minutes=30)
        frame = minutes_of(warehouse, dict(one.scope), one.channel, start=start, end=one.updated_at)
        desk.tell(teller.alert(Notification(event, one, one.updated_at), frame, is_known=event != "opened")).result()  # type: ignore[arg-type]
        desk.deliver()

    tell(opened, "opened", drop)
    _data_stops(warehouse, desk, clock)
    tell(replace(resolved, updated_at=outage.start + timedelta(minutes=4)), "opened", outage)
    tell(replace(resolved, state="resolved", resolved_at=resolved.updated_at), "resolved", outage)
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
    looks = [("", "light", 672)]
    if name in ("report", "alert-opened"):
        looks += [("-dark", "dark", 672), ("-narrow", "light", 375)]
    for suffix, scheme, width in looks:
        opened = browser.new_page(viewport={"width": width, "height": 200}, color_scheme=scheme)  # type: ignore[arg-type]
        opened.set_content(html)
        path = PICTURES / f"{name}{suffix}.png"
        opened.screenshot(path=path, full_page=True)
        opened.close()
        sys.stderr.write(f"{path} written\n")


if __name__ == "__main__":
    main()
