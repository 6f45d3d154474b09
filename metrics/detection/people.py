"""Who a fault hit: the attempts that fared badly in a scope, and the different people among them, by the hash of their number.

People ask again for a message that did not come, so they are fewer than messages; how many fewer is counted, not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.warehouse import Warehouse
from metrics import counts
from metrics.counts import Affected
from metrics.detection.incidents import Channel, Scope
from metrics.detection.leaves import Bools

Moments = NDArray[np.datetime64]

_ON_TIME = np.timedelta64(60, "s")
_DAY = timedelta(days=1)


class People(Protocol):
    """Counts who fared badly."""

    def count(self, channel: Channel, scope: Scope, start: datetime, end: datetime, now: datetime) -> Affected | None:
        """Of the attempts submitted in [start, end), as far as is known `now`; None where nobody knows."""


class NobodyKnown:
    """Knows no number."""

    def count(self, channel: Channel, scope: Scope, start: datetime, end: datetime, now: datetime) -> Affected | None:
        return None


class WarehousePeople:
    """Counts in the warehouse."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def count(self, channel: Channel, scope: Scope, start: datetime, end: datetime, now: datetime) -> Affected | None:
        if channel not in counts.BADLY:
            return None
        return counts.affected(self._warehouse, scope, start, end, seen_until=now, channel=channel)


class FramePeople:
    """Counts in a frame of attempts; without `phone_hash` every attempt is a person."""

    def __init__(self, attempts: pd.DataFrame) -> None:
        submitted = pd.to_datetime(attempts["submitted_at"], utc=True)
        if not submitted.is_monotonic_increasing:  # the frame may be large: no copy of one that lies in order
            order = np.argsort(submitted.to_numpy(), kind="stable")
            attempts, submitted = attempts.iloc[order], submitted.iloc[order]
        self._attempts, self._submitted = attempts, submitted

    def count(self, channel: Channel, scope: Scope, start: datetime, end: datetime, now: datetime) -> Affected | None:
        if channel not in _BADLY:
            return None
        first, last = (int(self._submitted.searchsorted(pd.Timestamp(at))) for at in (start, end))
        rows = self._attempts.iloc[first:last]
        for name, values in scope.items():
            if name in rows:
                rows = rows[rows[name].isin(values)]
        rows = rows[rows["outcome"] != "refused"]
        bad = rows[_BADLY[channel](_Known(rows, now))]
        return Affected(len(rows), len(bad), _different(bad))


def _different(rows: pd.DataFrame) -> int:
    if "phone_hash" not in rows:
        return len(rows)
    known = rows["phone_hash"].dropna()
    known = known[known != ""]
    return int(known.nunique()) + len(rows) - len(known)


class _Known:
    """Attempts as they are known at a moment: what comes later has not happened."""

    def __init__(self, rows: pd.DataFrame, now: datetime) -> None:
        self._rows = rows
        self.now = np.datetime64(now.replace(tzinfo=None), "ms")
        self.accepted: Bools = (rows["outcome"] == "accepted").to_numpy()
        self.submitted = self._moments("submitted_at")
        self.delivered, self.failed = self.when("delivered_at"), self.when("failed_at")
        self.arrived: Bools = ~np.isnat(self.delivered) & ~(self.failed < self.delivered)

    def when(self, name: str) -> Moments:
        told = self._moments(name)
        return np.where(told < self.now, told, np.datetime64("NaT", "ms"))

    def which(self, name: str, *, otherwise: bool, value: object = True) -> Bools:
        """The rows that have this value in a column that need not be there."""
        if name not in self._rows:
            return np.full(len(self._rows), otherwise)
        return np.asarray((self._rows[name] == value).to_numpy(dtype=bool, na_value=False))

    def _moments(self, name: str) -> Moments:
        if name not in self._rows:
            return np.full(len(self._rows), np.datetime64("NaT", "ms"))
        told = pd.to_datetime(self._rows[name], utc=True)
        return told.dt.tz_localize(None).to_numpy(dtype="datetime64[ms]")


def _unfilled(rows: _Known) -> Bools:
    code = rows.which("category", value="code", otherwise=True)
    return np.asarray(rows.accepted & code & np.isnat(rows.when("filled_at")))


def _wrong(rows: _Known) -> Bools:
    return np.asarray(~np.isnat(rows.when("first_check_at")) & ~rows.which("first_check_right", otherwise=True))


def _late(rows: _Known) -> Bools:
    took = np.where(rows.arrived, rows.delivered, rows.now) - rows.submitted
    failed = ~rows.arrived & ~np.isnat(rows.failed)
    return np.asarray(rows.accepted & ~failed & (took > _ON_TIME))


_BADLY: Mapping[Channel, Callable[[_Known], Bools]] = {
    "accepted": lambda rows: ~rows.accepted,
    "receipts": lambda rows: rows.accepted & ~rows.arrived & np.isnat(rows.failed),
    "delivered": lambda rows: rows.accepted & ~rows.arrived,
    "filled": _unfilled,
    "right": _wrong,
    "delay": _late,
}


def per_message(people: People, channel: Channel, scope: Scope, start: datetime, end: datetime, now: datetime) -> float:
    """How many people a message that fared badly stands for: 1 where nobody asked again."""
    seen = people.count(channel, scope, start, end, now)
    return seen.people / seen.harmed if seen is not None and seen.harmed else 1.0


def late(people: People, scope: Scope, start: datetime, end: datetime, now: datetime) -> float | None:
    """How many messages are late that would not have been on the day before; None where nobody knows."""
    seen = people.count("delay", scope, start, end, now)
    before = people.count("delay", scope, start - _DAY, start, now)
    if seen is None or before is None or not before.attempts:
        return None
    return max(0.0, seen.harmed - seen.attempts * before.harmed / before.attempts)
