"""What keeps the warehouse fast: hours rolled up, days merged into one part once nothing more is expected for them.

Every step can be run again and by two at once; what is not done yet costs time at a question and never changes an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from core import warehouse as door
from core.clock import Clock, utc_now
from core.errors import WarehouseRefused, WarehouseUnavailable
from core.redact import described
from core.settings import Settings
from core.warehouse import Warehouse
from metrics import hourly, runs

_log = structlog.get_logger(__name__)

SETTLED_AFTER_DAYS = 4
"""Carriers give up after three days; receipts after that are few enough to wait in a part of their own."""


UPKEEP_SECONDS_MAX = 3600.0
"""Merging a large day takes longer than any question may."""


def settle(warehouse: Warehouse, *, now: datetime, progress: hourly.Progress = hourly.nobody) -> list[date]:
    """Merge the days that are due, each into one part, and sweep what the rollup left. Returns those days.

    Rewrites a day's rows: run it when few people ask. Stopping in between loses nothing. `progress` hears of every day.
    """
    days = unsettled(warehouse, now=now)
    attempts = warehouse.layout.stored("attempts")
    for done, day in enumerate(days):
        progress(done, len(days))
        warehouse.command(f"OPTIMIZE TABLE {attempts}{warehouse.layout.on_cluster} PARTITION '{day.isoformat()}' FINAL")
        warehouse.command("INSERT INTO settled_days SELECT {day:Date}, now()", {"day": day.isoformat()})
    hourly.sweep(warehouse)
    if days:
        progress(len(days), len(days))
        _log.info("days settled", days=len(days), first=str(days[0]), last=str(days[-1]))
    return days


def unsettled(warehouse: Warehouse, *, now: datetime) -> list[date]:
    """The days that `settle` would merge, the oldest first."""
    text = files("metrics").joinpath("unsettled.sql").read_text(encoding="utf-8")
    sql = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    sql = sql.replace("{parts}", warehouse.layout.parts).replace("{attempts}", warehouse.layout.stored("attempts"))
    before = (now.astimezone(UTC) - timedelta(days=SETTLED_AFTER_DAYS)).date()
    return [row[0] for row in warehouse.query_rows(sql, {"before": before.isoformat()})]


def told(settings: Settings) -> str:
    """What there is to do, in a sentence. Raises `WarehouseUnavailable`."""
    with closing(_patient(settings)) as warehouse:
        hours = len(hourly.ripe(warehouse, on_time_seconds=settings.metrics.on_time_seconds))
        days = len(unsettled(warehouse, now=utc_now()))
    return f"hours to be rolled up: {hours}, days to be merged: {days}"


def run_upkeep(settings: Settings, *, rollup: bool, settling: bool) -> None:
    """Roll up and settle with progress, and say what was done. Raises `WarehouseUnavailable` and `WarehouseRefused`."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hours, days = 0, 0
    with closing(_patient(settings)) as warehouse, RichProgress(*columns, console=console) as bars:
        warehouse.migrate()
        if rollup:
            on_time_seconds = settings.metrics.on_time_seconds
            hours = hourly.build(warehouse, on_time_seconds=on_time_seconds, progress=_bar(bars, "hours rolled up"))
        if settling:
            days = len(settle(warehouse, now=utc_now(), progress=_bar(bars, "days merged")))
    console.print(f"hours rolled up: {hours}, days merged: {days}", highlight=False)


def _patient(settings: Settings) -> Warehouse:
    return door.connect(settings.warehouse.model_copy(update={"query_timeout_seconds": UPKEEP_SECONDS_MAX}))


def _bar(bars: RichProgress, name: str) -> hourly.Progress:
    task = bars.add_task(name, total=None)
    return lambda done, total: bars.update(task, completed=done, total=total)


@dataclass(frozen=True)
class Upkeep:
    """The two jobs, for a scheduler: they raise nothing, and tell a log what they could not do. Any number may run them."""

    open_warehouse: Callable[[], Warehouse]
    clock: Clock
    on_time_seconds: int

    def each_minute(self) -> None:
        """Roll up the hours that are ripe; a small query when none is."""
        self._do(lambda warehouse: hourly.build(warehouse, on_time_seconds=self.on_time_seconds), what="rollup")

    def each_night(self) -> None:
        """Settle the days that are due."""
        self._do(lambda warehouse: settle(warehouse, now=self.clock()), what="settling")

    def _do(self, work: Callable[[Warehouse], object], *, what: runs.Job) -> None:
        try:
            with closing(self.open_warehouse()) as warehouse:
                runs.note(warehouse, what, at=self.clock(), failure=self._failure(lambda: work(warehouse), what))
        except Exception as error:  # noqa: BLE001  # the next run has to come, whatever it was
            _put_off(what, error)

    def _failure(self, work: Callable[[], object], what: runs.Job) -> str:
        """What broke in it; empty when nothing did."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  # as above
            _put_off(what, error)
            return described(error)
        return ""


def _put_off(what: str, error: Exception) -> None:
    is_expected = isinstance(error, (WarehouseUnavailable, WarehouseRefused))
    say = _log.warning if is_expected else _log.error
    say(f"{what} put off", reason=described(error), hint=getattr(error, "hint", ""))
