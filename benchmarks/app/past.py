"""What the measured dashboard shows: the past of the warehouse's benchmark, and beside it incidents, availability, a report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import click
import pandas as pd
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.app.visits import Link
from benchmarks.warehouse.load import DAYS, end_of, load
from core import warehouse as door
from core.archive import content_of, sent_reports
from core.clock import utc_now
from core.events import Availability, encode_lines
from core.mail import KeptMail
from core.settings import Settings
from core.warehouse import Warehouse
from metrics import hourly
from metrics.detection.incidents import Incident
from metrics.detection.records import keep, keep_evidence
from metrics.upkeep import settle
from reports.delivery import Office
from reports.ledger import Ledger
from reports.spans import Day

_INCIDENTS = 12
"""Asked for in turn: a page about one is kept for 15 s, and nobody comes round to the same that soon."""

_INCIDENT = "bench"
_DAY = timedelta(days=1)
_APART = timedelta(minutes=15)
"""Between two windows: more than the five minutes for which values of filters are shared, and one bucket of a day's charts."""


def prepare(settings: Settings, attempts: int) -> datetime:
    """Load what is missing of it. Returns the midnight at which it ends."""
    patient = settings.warehouse.model_copy(update={"query_timeout_seconds": 1800})
    warehouse = door.connect(patient)
    warehouse.migrate()
    bars = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with bars:
        load(warehouse, attempts, today=utc_now(), progress=bars)
    end = end_of(warehouse)
    if not warehouse.query_rows("SELECT 1 FROM rollup LIMIT 1"):
        click.echo("settling the days, and rolling up their hours")
        settle(warehouse, now=end + timedelta(days=60))
        hourly.build(warehouse, on_time_seconds=60, lasts=timedelta(), quiet=timedelta(), margin=timedelta())
    click.echo("writing incidents, availability and a report")
    _incidents(warehouse, end)
    _availability(warehouse, end)
    warehouse.close()
    _report(settings, end)
    return end


def links(end: datetime) -> Iterator[Link]:
    """A day's window that nobody has asked for yet, again and again, each a little earlier than the one before; and an incident."""
    for number in count():
        begin = end - _DAY - number * _APART
        times = {"from": f"{begin:%Y-%m-%dT%H:%M}", "to": f"{begin + _DAY:%Y-%m-%dT%H:%M}"}
        yield Link(
            urlencode({"range": "custom", **times, "tz": "UTC", "live": "off"}), f"{_INCIDENT}{number % _INCIDENTS}"
        )


def mail(settings: Settings, path: Path) -> Path:
    """Write the HTML of the newest report to `path`, as its page frames it."""
    folder = settings.reports.folder
    content = content_of(folder, sent_reports(folder)[0].id)
    path.write_text(content.html if content else "", encoding="utf-8")
    return path


def questions_asked(warehouse: Warehouse) -> int:
    """How many the engine was asked since it started; this is one of them."""
    ((asked,),) = warehouse.query_rows("SELECT value FROM system.events WHERE event = 'InitialQuery'")
    return int(asked)


def _incidents(warehouse: Warehouse, end: datetime) -> None:
    found = [_incident(f"{_INCIDENT}{number}", end - timedelta(hours=2 * number + 3)) for number in range(_INCIDENTS)]
    keep(warehouse, found)
    for one in found:
        keep_evidence(warehouse, one.id, _evidence(one), at=end)


def _evidence(one: Incident) -> pd.DataFrame:
    minutes = pd.date_range(one.onset - timedelta(hours=1), periods=120, freq="min")
    return pd.DataFrame(
        {
            "minute": minutes,
            "channel": "delivered",
            "expected": 95.0,
            "observed": 70.0,
            "low": 80.0,
            "high": 110.0,
            "n": 100,
        }
    )


def _incident(name: str, onset: datetime) -> Incident:
    return Incident(
        id=name, kind="delivery-drop", channel="delivered", scope={"provider": ("provider-1",)}, onset=onset,
        detected_at=onset + timedelta(minutes=3), updated_at=onset + timedelta(minutes=40), affected=1240, lost=1100,
        share=0.9, expected=0.95, observed=0.71, n=5000, resolved_at=onset + timedelta(minutes=40), state="resolved",
    )  # fmt: skip


def _availability(warehouse: Warehouse, end: datetime) -> None:
    if warehouse.query_rows("SELECT 1 FROM availability_minutes LIMIT 1"):
        return
    minutes = (end - timedelta(minutes=back) for back in range(1, DAYS * 1440))
    events = [Availability(at=at, instance="5" * 32, calls=45, failed=int(at.minute == 0), shed=0) for at in minutes]
    warehouse.insert_json(Availability.table, encode_lines(events))


def _report(settings: Settings, end: datetime) -> None:
    ledger = Ledger(settings.reports.folder, clock=utc_now)
    office = Office(settings, ledger, KeptMail(), lambda: door.connect(settings.warehouse, readonly=True), utc_now)
    began = time.perf_counter()
    office.deliver(Day((end - 2 * _DAY).date(), "UTC"), ["operators@heliograph.example"])
    click.echo(f"the report took {time.perf_counter() - began:.1f} s")
