"""The hourly rollup: what `attempts` says, counted ahead for long windows, and only where it still says the same.

Counts are equal to those of the attempts, always. Percentiles come out of t-digests, within two in a hundred of the exact
ones from a thousand messages on, and only where there are too many attempts to have the exact ones in time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from secrets import randbits
from zoneinfo import ZoneInfo

import structlog

from core.warehouse import Warehouse
from metrics import cohorts
from metrics.catalogue import COUNTS

_log = structlog.get_logger(__name__)

SPLITS: tuple[tuple[str, ...], ...] = (
    ("purpose",),
    ("app",),
    ("template",),
    ("provider",),
    ("country",),
    ("country", "carrier"),
    ("app", "provider"),
    ("app", "country"),
    ("country", "region"),
    ("provider", "country"),
    ("provider", "country", "carrier"),
    ("provider", "country", "carrier", "purpose"),
)
"""What an hour is counted by, the one of fewest rows first: three an hour by purpose, 1,200 by the last at 20,000 attempts."""

HOUR = timedelta(hours=1)
WINDOW_MIN = timedelta(hours=36)
"""Shorter windows are read from the attempts, as fast."""

EXACT_MAX = 1_000_000
"""Attempts in a window up to which percentiles are read from the attempts, exactly: a tenth of a second."""

LASTS = timedelta(hours=2)
"""After its end most receipts, and every fill, of an hour are there."""
QUIET = timedelta(minutes=5)
MARGIN = timedelta(seconds=90)
"""Longest time from the beginning of an insert to its rows being seen; three times the default query timeout."""
HOURS_MAX = 24 * 400
HOURS_PER_BUILD = 24

_DIMENSIONS = tuple(sorted({name for split in SPLITS for name in split}))
_SETS = ", ".join(f"(submitted_hour, {', '.join(split)})" for split in SPLITS)
_MASKS = [int("".join("01"[name not in split] for name in _DIMENSIONS), 2) for split in SPLITS]
"""What ClickHouse's `grouping` says in each split: a bit for every dimension that is left out."""

_STORED = tuple(name for name in COUNTS if name != "due")
"""Of an hour that is over for longer than T everything pending is due: accepted and due are then the same."""


Progress = Callable[[int, int], None]
"""Hears how much is done, of how much."""


def nobody(done: int, total: int) -> None:
    """Listens to no progress."""


@dataclass(frozen=True)
class Hour:
    """An hour that may be read from the rollup, the version of its rows, and how many attempts it counts."""

    begins: int
    version: int
    attempts: int


@dataclass(frozen=True)
class Chosen:
    """What of the rollup answers a question: splits, for counts a single one, and their hours in order."""

    splits: Sequence[str]
    hours: Sequence[Hour]

    @property
    def parameters(self) -> dict[str, list[str] | list[int]]:
        """The parameters of `CHOSEN`."""
        return {
            "splits": list(self.splits),
            "hours": [hour.begins for hour in self.hours],
            "versions": [hour.version for hour in self.hours],
        }


NONE = Chosen((), ())
"""Everything is read from the attempts."""

CHOSEN = """
    split IN {splits:Array(String)}
    AND hour >= toDateTime(arrayMin({hours:Array(UInt32)}), 'UTC') AND hour <= toDateTime(arrayMax({hours:Array(UInt32)}), 'UTC')
    AND (toUnixTimestamp(hour), version) IN (SELECT arrayJoin(arrayZip({hours:Array(UInt32)}, {versions:Array(UInt64)})))"""
"""The rows of `rollup` that are of these splits and hours and no older build of them."""


def stored_sql(name: str) -> str:
    """The count called `name`, over rows of `rollup`."""
    return "sum(accepted)" if name == "due" else f"sum({name})"


def serving(
    *, start: datetime, end: datetime, dimensions: Collection[str], bucket_seconds: int | None, time_zone: str
) -> str:
    """The split that answers a question of this shape, '' where whole hours of UTC cannot, or are no faster."""
    if end - start < WINDOW_MIN:
        return ""
    if bucket_seconds is not None:
        zone = ZoneInfo(time_zone)
        offsets = [moment.astimezone(zone).utcoffset() or timedelta() for moment in (start, end)]
        if bucket_seconds < HOUR.total_seconds() or any(offset % HOUR for offset in offsets):
            return ""
    return next((_name(split) for split in SPLITS if set(dimensions) <= set(split)), "")


def fresh(warehouse: Warehouse, *, start: datetime, end: datetime, on_time_seconds: int | None) -> list[Hour]:
    """The hours within [start, end) that the rollup may answer for, in order.

    With `on_time_seconds` only those that counted "in time" by it.
    """
    parameters = {"start": cohorts.text(start), "end": cohorts.text(end), "on_time_seconds": on_time_seconds or 0}
    return [Hour(*map(int, row)) for row in warehouse.query_rows(_sql("fresh"), parameters)]


def gaps(hours: Sequence[Hour], *, start: datetime, end: datetime) -> list[tuple[float, float]]:
    """What of [start, end) those hours leave over, as Unix seconds, neighbours joined."""
    left = []
    at = start.timestamp()
    for hour in hours:
        if hour.begins > at:
            left.append((at, float(hour.begins)))
        at = hour.begins + HOUR.total_seconds()
    if at < end.timestamp():
        left.append((at, end.timestamp()))
    return left


def ripe(
    warehouse: Warehouse,
    *,
    on_time_seconds: int,
    lasts: timedelta = LASTS,
    quiet: timedelta = QUIET,
    hours_max: int = HOURS_MAX,
) -> list[int]:
    """The hours that are over, quiet, and not or no longer right, as Unix seconds, the latest first; `build` builds them."""
    parameters = {
        "lasts": int(lasts.total_seconds()),
        "quiet": int(quiet.total_seconds()),
        "on_time_seconds": on_time_seconds,
        "hours_max": hours_max,
    }
    return [int(row[0]) for row in warehouse.query_rows(_sql("ripe"), parameters)]


def build(
    warehouse: Warehouse,
    *,
    on_time_seconds: int,
    lasts: timedelta = LASTS,
    quiet: timedelta = QUIET,
    margin: timedelta = MARGIN,
    hours_max: int = HOURS_MAX,
    progress: Progress = nobody,
) -> int:
    """Build the hours that are ripe. Returns how many; `progress` hears how many are done, of how many.

    Costs one small query when there are none. Two may run at once; one that dies leaves nothing that is read.
    """
    hours = ripe(warehouse, on_time_seconds=on_time_seconds, lasts=lasts, quiet=quiet, hours_max=hours_max)
    for first in range(0, len(hours), HOURS_PER_BUILD):
        progress(first, len(hours))
        _build(warehouse, hours[first : first + HOURS_PER_BUILD], on_time_seconds=on_time_seconds, margin=margin)
    if hours:
        progress(len(hours), len(hours))
        _log.info("hours rolled up", hours=len(hours))
    return len(hours)


def sweep(warehouse: Warehouse) -> None:
    """Drop the rows of versions that are named no more and that no question can still be reading."""
    an_hour_ago = "(toUnixTimestamp64Milli(now64(3)) - 3600000) * 1048576"
    stale = f"version < {an_hour_ago} AND (hour, version) NOT IN (SELECT hour, version FROM rollup_built FINAL)"
    ((rows,),) = warehouse.query_rows(f"SELECT count() FROM rollup WHERE {stale}")
    if rows:
        table = f"{warehouse.layout.stored('rollup')}{warehouse.layout.on_cluster}"
        warehouse.command(f"DELETE FROM {table} WHERE {stale}")


def _build(warehouse: Warehouse, hours: Sequence[int], *, on_time_seconds: int, margin: timedelta) -> None:
    ((milliseconds,),) = warehouse.query_rows("SELECT toUnixTimestamp64Milli(now64(3, 'UTC'))")
    version = int(milliseconds) << 20 | randbits(20)
    counts = ",\n    ".join(COUNTS[name] for name in _STORED)
    begins = [datetime.fromtimestamp(hour, UTC) for hour in hours]
    minutes = cohorts.window(min(begins), max(begins) + HOUR)
    parameters = {
        "version": version,
        "hours": [cohorts.text(hour)[:19] for hour in begins],
        "on_time_seconds": on_time_seconds,
        "first_minute": minutes["first_minute"],
        "last_minute": minutes["last_minute"],
    }
    sql = _sql("build", names=", ".join(_STORED), counts=counts, dimensions=", ".join(_DIMENSIONS), sets=_SETS)
    warehouse.command(sql, parameters | {"masks": _MASKS, "splits": [_name(split) for split in SPLITS]})
    covers_until = (int(milliseconds) - margin // timedelta(milliseconds=1)) / 1000
    warehouse.command(_sql("name"), parameters | {"covers_until": covers_until, "split": _name(SPLITS[0])})


def _name(split: Sequence[str]) -> str:
    return ",".join(split)


def _sql(name: str, **parts: str) -> str:
    sql = files("metrics.hourly").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    body = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    for part, value in parts.items():
        body = body.replace(f"{{{part}}}", value)
    return body
