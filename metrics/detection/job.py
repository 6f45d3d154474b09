"""The detector at work on a warehouse, minute by minute: what the scheduler calls.

It remembers in the warehouse how far it came, so that a pause is caught up, and two who take turns judge no minute twice;
where another has judged meanwhile it begins anew from what that one wrote.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

import structlog

from core.settings.watching import Detection
from core.warehouse import Warehouse
from metrics import counts
from metrics.cohorts import text
from metrics.detection import records
from metrics.detection.cells import from_arrivals
from metrics.detection.codes import WarehouseCodes
from metrics.detection.detector import Detector, Tuning, moment
from metrics.detection.incidents import Incident, Notification
from metrics.detection.leaves import Leaves
from metrics.detection.people import WarehousePeople
from metrics.detection.replay import WARM_MINUTES, learn, maintenance, minute_number
from metrics.detection.words import Word, words_at

_log = structlog.get_logger(__name__)

State = Literal["off", "judged", "up to date", "no data", "data stopped"]

LOCK = "minute.lock"
"""The file in `[alerts] folder` whose lock is held by whoever judges."""

_CATCH_UP_MINUTES = 6 * 60
"""After a longer pause it begins anew at the present: what is over by then is the report's to tell."""
_LATE_MINUTES = 3
_MISSED = 25.0
"""Submissions that should have come since the last one before it is said that the data stopped."""
_EVIDENCE_MINUTES = 5


@dataclass(frozen=True)
class Judged:
    """What a call did: the state it ended in, the last minute judged, and what was told."""

    state: State
    until: datetime | None = None
    told: Sequence[Notification] = ()


@dataclass
class Job:
    """Keeps a detector between calls. One object a process."""

    settings: Detection
    _detector: Detector | None = field(default=None, init=False)
    _reached: int = field(default=-1, init=False)

    def minute(self, warehouse: Warehouse, now: datetime) -> Judged:
        """Judge every minute that is complete and was not judged, and write what was found. Raises `WarehouseUnavailable`."""
        if not self.settings.enabled:
            return Judged("off")
        newest = _newest(warehouse, now)
        if newest is None:
            return Judged("no data")
        done = _progress(warehouse)
        if done is not None and done > self._reached:
            # what another has found meanwhile is taken over: found again, it is told by nobody or twice
            self._detector = None
        last = minute_number(now - timedelta(seconds=self.settings.settle_seconds)) - 1
        detector = self._ready(warehouse, done, last)
        stopped = newest < last and self._missed(detector, newest, last) >= _MISSED
        last = min(last, newest) if stopped or newest >= last - _LATE_MINUTES else last
        told = self._judge(warehouse, detector, last) if last > self._reached else []
        state: State = "data stopped" if stopped else ("judged" if told or last >= self._reached else "up to date")
        if stopped:
            _log.warning("no data reaches the warehouse", newest=moment(newest).isoformat())
        return Judged(state, moment(self._reached + 1), told)

    def _ready(self, warehouse: Warehouse, done: int | None, last: int) -> Detector:
        """The detector, made anew where it has missed too much."""
        if self._detector is not None and last - self._reached <= _CATCH_UP_MINUTES:
            return self._detector
        resume = done if done is not None and last - done <= _CATCH_UP_MINUTES else last - 1
        detector = Detector(Leaves(), _tuning(self.settings), WarehouseCodes(warehouse), WarehousePeople(warehouse))
        warm = moment(resume + 1 - WARM_MINUTES)
        learn(detector, warehouse, until=warm)
        since = moment(resume) - timedelta(hours=1)
        detector.restore(records.incidents_between(warehouse, since, moment(last + 1)))
        self._detector, self._reached = detector, resume - WARM_MINUTES
        self._go(warehouse, detector, resume, restoring=True)
        _log.info("detection begins", at=moment(resume + 1).isoformat(), leaves=len(detector.leaves))
        return detector

    def _missed(self, detector: Detector, newest: int, last: int) -> float:
        """How many submissions should have come since the newest one."""
        if detector.baseline is None:
            return 0.0
        return float(detector.baseline.volume[(newest // 60) % 24].sum()) * (last - newest)

    def _go(
        self, warehouse: Warehouse, detector: Detector, until: int, *, restoring: bool = False
    ) -> list[Notification]:
        """Feed the detector up to the minute `until`."""
        if until <= self._reached:
            return []
        start, end = moment(self._reached + 1), moment(until + 1)
        cells = from_arrivals(counts.arrivals(warehouse, start, end), detector.leaves)
        detector.aside = maintenance(warehouse, start - timedelta(hours=2), end)
        told: list[Notification] = []
        with self._whole():
            for minute, rows in cells.minutes(self._reached + 1, until):
                told += detector.minute(minute, rows, quiet=restoring)
        self._reached = until
        return told

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Whatever ends this early, the next call begins anew from what the warehouse knows: no minute is fed twice, and
        nothing that was found is told to nobody."""
        try:
            yield
        except BaseException:
            self._detector = None
            raise

    def _judge(self, warehouse: Warehouse, detector: Detector, last: int) -> list[Notification]:
        told = self._go(warehouse, detector, last)
        with self._whole():
            return self._write(warehouse, detector, told, last)

    def _write(
        self, warehouse: Warehouse, detector: Detector, told: Sequence[Notification], last: int
    ) -> list[Notification]:
        """What was found into the warehouse; what was told, as operators' words have it."""
        now = moment(last + 1)
        first = min((one.at for one in told), default=now)  # while it catches up a word may have ended in between
        words = words_at(warehouse, first, ahead=now - first)
        told = [replace(one, incident=_said(one.incident, words, one.at)) for one in told]
        latest = {one.incident.id: one.incident for one in told}
        for case in detector.cases:
            if case.open:
                latest[case.id] = _said(detector.incident(case, last), words, now)
            is_due = case.open and (last - case.detected) % _EVIDENCE_MINUTES == 0
            if is_due or any(one.incident.id == case.id for one in told):
                records.keep_evidence(warehouse, case.id, detector.evidence(case), at=now)
        records.keep(warehouse, latest.values(), told)
        _note_progress(warehouse, last)
        return list(told)


def _tuning(settings: Detection) -> Tuning:
    return Tuning(settings.false_alarms_per_day, settings.baseline_days)


def _said(one: Incident, words: Iterable[Word], at: datetime) -> Incident:
    """The incident, marked when an operator's word keeps quiet about it."""
    return replace(one, silenced=any(word.quiets(incident_id=one.id, scope=one.scope, at=at) for word in words))


def _newest(warehouse: Warehouse, now: datetime) -> int | None:
    """The newest minute in which anything arrived. One to come is no news: a wrong clock or a file dates events ahead."""
    sql = """
        SELECT toUnixTimestamp(max(seen_minute)), count() FROM arrivals
        WHERE seen_minute > {since:DateTime('UTC')} AND seen_minute <= {now:DateTime('UTC')}"""
    for since in (now - timedelta(days=1), moment(0)):  # the last day first: else all of it is read each minute
        ((seconds, rows),) = warehouse.query_rows(sql, {"since": text(since)[:19], "now": text(now)[:19]})
        if rows:
            return int(seconds) // 60
    return None


def _progress(warehouse: Warehouse) -> int | None:
    rows = warehouse.query_rows("SELECT toUnixTimestamp(minute) FROM detection_progress FINAL WHERE name = 'detection'")
    return int(rows[0][0]) // 60 if rows else None


def _note_progress(warehouse: Warehouse, minute: int) -> None:
    row = {"name": "detection", "version": minute, "minute": minute * 60, "note": "{}"}
    warehouse.insert_json("detection_progress", json.dumps(row).encode())
