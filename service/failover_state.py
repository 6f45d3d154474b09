"""What failover knows and remembers: the status, how it came about, and the window over failures.

A status outlives the process in a file beside the journals, and reaches the other instances as a note in the backup.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

import msgspec

from core.clock import Clock
from core.errors import Unavailable
from core.settings import Failover as FailoverSettings
from service.stores.faults import FaultClass, fault_of

STATUS_FILE = "status.json"
HISTORY_MAX = 50
_INCIDENTS_MAX = 1000


class Status(StrEnum):
    """Which stores are used; section 4.4 of the design."""

    HEALTHY = "healthy"
    MYSQL_FATAL = "mysql_fatal"
    REDIS_FATAL = "redis_fatal"
    BOTH_FATAL = "both_fatal"
    RECOVERING = "recovering"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of status."""

    at: datetime
    old: Status
    new: Status
    reason: str


class FailoverView(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator sees. `looks_well_since` is set while the failed primary store passes its probes; `problem`
    says what keeps a recovery from finishing."""

    status: Status
    since: datetime
    reason: str
    backlog_bytes: int
    looks_well_since: datetime | None
    problem: str
    copies_dropped: int
    history: tuple[Change, ...]


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What instances tell each other, and what a process tells its successor. `renewed_at` is moved on by whoever still
    has a journal to replay; the others wait for it to grow old."""

    status: Status
    since: datetime
    reason: str
    by: str
    renewed_at: datetime


def encode_note(note: Note) -> bytes:
    return msgspec.json.encode(note)


def decode_note(body: bytes) -> Note | None:
    """The note, or None when there is none that this version understands."""
    try:
        return msgspec.json.decode(body, type=Note) if body else None
    except (msgspec.MsgspecError, ValueError):
        return None


def load_note(folder: Path) -> Note | None:
    """What the process before this one left behind."""
    try:
        return decode_note((folder / STATUS_FILE).read_bytes())
    except OSError:
        return None


def keep_note(folder: Path, note: Note) -> None:
    """Leave it for the next process, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{STATUS_FILE}.new"
    with fresh.open("wb") as file:
        file.write(encode_note(note))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / STATUS_FILE)


class FailureWindow:
    """Failures of one store within the last `window_seconds`; `is_full` when they are enough to call it down.

    One failed transaction counts once, however many callers shared it. A saturated server counts half, contention and
    the callers' own mistakes not at all.
    """

    _WEIGHTS: ClassVar[Mapping[FaultClass, float]] = {
        FaultClass.FATAL: 1.0,
        FaultClass.CREDENTIALS: 1.0,
        FaultClass.SATURATED: 0.5,
    }

    def __init__(self, *, window_seconds: float, failures_max: int, clock: Clock) -> None:
        self._window = timedelta(seconds=window_seconds)
        self._failures_max = failures_max
        self._clock = clock
        self._failures: deque[tuple[datetime, float]] = deque()
        self._incidents: deque[int] = deque(maxlen=_INCIDENTS_MAX)

    @classmethod
    def of(cls, settings: FailoverSettings, *, clock: Clock) -> FailureWindow:
        """As the settings have it."""
        return cls(window_seconds=settings.window_seconds, failures_max=settings.fatal_errors, clock=clock)

    def add(self, error: Unavailable) -> None:
        """Count a failure."""
        incident = getattr(error, "incident", None)
        weight = self._WEIGHTS.get(fault_of(error), 0.0)
        if not weight or (incident is not None and incident in self._incidents):
            return
        if incident is not None:
            self._incidents.append(incident)
        self._failures.append((self._clock(), weight))

    def clear(self) -> None:
        """Begin anew."""
        self._failures.clear()

    @property
    def is_suspicious(self) -> bool:
        """Something failed of late."""
        return self._weight() > 0

    @property
    def is_full(self) -> bool:
        """Enough failed of late."""
        return self._weight() >= self._failures_max

    def _weight(self) -> float:
        now = self._clock()
        # A failure from the future was stamped before the clock stepped back: it would never grow old.
        fresh = [(at, weight) for at, weight in self._failures if now - self._window < at <= now]
        self._failures = deque(fresh)
        return sum(weight for _, weight in fresh)
