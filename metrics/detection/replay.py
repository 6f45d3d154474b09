"""The detector over history, as if time passed: at each minute it sees what had arrived by then, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from core.errors import BadInput
from core.warehouse import Warehouse
from metrics import counts
from metrics.detection import records
from metrics.detection.baseline import AGE_MAX, Aside
from metrics.detection.cells import Cells, from_arrivals, from_attempts
from metrics.detection.codes import FrameCodes, WarehouseCodes
from metrics.detection.detector import Detector, Tuning, moment
from metrics.detection.incidents import Notification
from metrics.detection.leaves import Leaves
from metrics.detection.people import FramePeople, WarehousePeople
from metrics.detection.words import maintenance_between

Progress = Callable[[int, int], None]
"""Called with the minutes done and the minutes there are."""

_CHUNK = timedelta(hours=6)
WARM_MINUTES = 60
"""Minutes judged before the first, so that the cohorts then outstanding are known."""


def over_attempts(
    attempts: pd.DataFrame,
    *,
    start: datetime,
    end: datetime,
    tuning: Tuning | None = None,
    progress: Progress | None = None,
) -> Iterator[Notification]:
    """What would have been told in [start, end). What was submitted before `start` is the baseline."""
    _check(start, end)
    leaves = Leaves()
    cells = from_attempts(attempts, leaves)
    detector = Detector(leaves, tuning or Tuning(), FrameCodes(attempts), FramePeople(attempts))
    first, last = minute_number(start), minute_number(end) - 1
    oldest = first - 24 * 60 * detector.tuning.baseline_days
    before = cells[(cells.seen >= oldest) & (cells.seen < first - WARM_MINUTES)]
    detector.learn(before)
    begin = max(first - WARM_MINUTES, int(cells.seen.min()) if len(cells) else first)
    return _run(detector, cells.minutes(begin, last), first, last, progress)


def over_warehouse(
    warehouse: Warehouse,
    *,
    start: datetime,
    end: datetime,
    tuning: Tuning | None = None,
    progress: Progress | None = None,
) -> Iterator[Notification]:
    """The same over the history that the warehouse holds. Raises `WarehouseUnavailable`."""
    _check(start, end)
    leaves = Leaves()
    detector = Detector(leaves, tuning or Tuning(), WarehouseCodes(warehouse), WarehousePeople(warehouse))
    first, last = minute_number(start), minute_number(end) - 1
    warm = start - timedelta(minutes=WARM_MINUTES)
    learn(detector, warehouse, until=warm)
    return _run(detector, _stream(warehouse, detector, warm, end), first, last, progress)


def learn(detector: Detector, warehouse: Warehouse, *, until: datetime) -> None:
    """Teach the detector the baseline days before `until`, of hours that have settled then.

    Hours of known incidents and of maintenance windows are left out, in their scopes.
    """
    days = detector.tuning.baseline_days
    start = until.replace(minute=0, second=0, microsecond=0) - timedelta(days=days)
    left_out = set_aside(warehouse, start, until)
    for day in range(days):
        begin, end = start + timedelta(days=day), start + timedelta(days=day + 1)
        hours = counts.baseline(warehouse, begin, end, seen_until=until, within_minutes=AGE_MAX)
        lags = counts.delays(warehouse, begin, end, seen_until=until)
        detector.history.add_frames(hours, lags, hour=minute_number(begin) // 60, left_out=left_out)


def set_aside(warehouse: Warehouse, start: datetime, end: datetime) -> list[Aside]:
    """What [start, end) holds that says nothing of good days, silenced or not."""
    known = [
        Aside(one.scope, minute_number(one.onset), minute_number(one.resolved_at or end))
        for one in records.incidents_between(warehouse, start, end)
    ]
    return known + maintenance(warehouse, start, end)


def maintenance(warehouse: Warehouse, start: datetime, end: datetime) -> list[Aside]:
    """The maintenance windows of that time: who works on a route breaks it on purpose."""
    return [
        Aside(one.scope or {}, minute_number(one.start or start), minute_number(one.end or end))
        for one in maintenance_between(warehouse, start, end)
        if not one.incident_id
    ]


def _stream(warehouse: Warehouse, detector: Detector, start: datetime, end: datetime) -> Iterator[tuple[int, Cells]]:
    while start < end:
        until = min(start + _CHUNK, end)
        cells = from_arrivals(counts.arrivals(warehouse, start, until), detector.leaves)
        detector.aside = maintenance(warehouse, start - timedelta(hours=2), until)
        yield from cells.minutes(minute_number(start), minute_number(until) - 1)
        start = until


def _run(
    detector: Detector, minutes: Iterator[tuple[int, Cells]], first: int, last: int, progress: Progress | None
) -> Iterator[Notification]:
    for minute, cells in minutes:
        told = detector.minute(minute, cells)
        if progress is not None and minute >= first:
            progress(minute - first + 1, last - first + 1)
        if minute >= first:
            yield from told


def minute_number(at: datetime) -> int:
    """Minutes since 1970."""
    return int(at.timestamp() // 60)


def span_of(attempts: pd.DataFrame) -> tuple[datetime, datetime]:
    """From the first to behind the last minute of submission. Raises `BadInput` when there is nothing."""
    submitted = pd.to_datetime(attempts["submitted_at"], utc=True).dropna()
    if submitted.empty:
        raise BadInput("there is no attempt to replay")
    first, last = (int(np.int64(one.timestamp()) // 60) for one in (submitted.min(), submitted.max()))
    return moment(first).astimezone(UTC), moment(last + 1).astimezone(UTC)


def _check(start: datetime, end: datetime) -> None:
    if start.tzinfo is None or end.tzinfo is None:
        raise BadInput("start and end need a time zone")
    if start >= end:
        raise BadInput("a replay must begin before it ends")
