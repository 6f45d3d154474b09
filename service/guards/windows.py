"""Counts of what happened within a sliding window, by key: a dozen slots a key, and no more keys than are allowed.

Runs on a monotonic timer: a clock that is set back must neither free a quota nor hold it shut.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SLOTS = 12
"""Slots of a window. An event leaves the window at most a twelfth of it late, never early."""


@dataclass
class _Row:
    slots: deque[list[int]] = field(default_factory=deque)  # [slot number, events], oldest first
    total: int = 0


class SlidingCounts:
    """Events of the last `window_seconds` by key. When there are `keys_max` keys, the one idle for longest goes."""

    def __init__(self, *, window_seconds: float, keys_max: int, timer: Callable[[], float]) -> None:
        self._slot_seconds = window_seconds / SLOTS
        self._keys_max = keys_max
        self._timer = timer
        self._rows: OrderedDict[str, _Row] = OrderedDict()

    def add(self, key: str, *, age_seconds: float = 0.0) -> int:
        """One event, that happened `age_seconds` ago. Returns how many of its key are in the window."""
        now = self._slot()
        slot = now - int(max(0.0, age_seconds) / self._slot_seconds)
        if slot <= now - SLOTS:
            return self.count(key)
        row = self._rows.setdefault(key, _Row())
        self._rows.move_to_end(key)
        self._expire(row)
        _count_in(row, slot)
        while len(self._rows) > self._keys_max:
            self._rows.popitem(last=False)
        return row.total

    def count(self, key: str, *, older_than_seconds: float = 0.0) -> int:
        """Events in the window; with `older_than_seconds` only those that are at least so old, to a slot."""
        row = self._rows.get(key)
        if row is None:
            return 0
        self._expire(row)
        if not older_than_seconds:
            return row.total
        newest = self._slot() - int(older_than_seconds / self._slot_seconds)
        return sum(events for slot, events in row.slots if slot <= newest)

    def seconds_until_below(self, key: str, allowed: int) -> float:
        """How long until fewer than `allowed` events are in the window, when nothing is added; 0 when it is so now."""
        row = self._rows.get(key)
        if row is None:
            return 0.0
        self._expire(row)
        excess = row.total - allowed + 1
        for slot, events in row.slots:
            if excess <= 0:
                break
            excess -= events
            due = (slot + SLOTS) * self._slot_seconds - self._timer()
            if excess <= 0:
                return max(0.0, due)
        return 0.0

    def items(self) -> Iterator[tuple[str, int]]:
        """Every key that has events in the window, with their number; the others are let go."""
        for key in list(self._rows):
            row = self._rows[key]
            self._expire(row)
            if row.total:
                yield key, row.total
            else:
                del self._rows[key]

    def __len__(self) -> int:
        return len(self._rows)

    def _slot(self) -> int:
        return int(self._timer() / self._slot_seconds)

    def _expire(self, row: _Row) -> None:
        oldest = self._slot() - SLOTS
        while row.slots and row.slots[0][0] <= oldest:
            row.total -= row.slots.popleft()[1]


def _count_in(row: _Row, slot: int) -> None:
    row.total += 1
    for index in range(len(row.slots) - 1, -1, -1):  # nearly always the newest
        if row.slots[index][0] == slot:
            row.slots[index][1] += 1
            return
        if row.slots[index][0] < slot:
            row.slots.insert(index + 1, [slot, 1])
            return
    row.slots.appendleft([slot, 1])
