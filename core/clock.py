"""The clock is an argument: programs pass `utc_now`, tests pass a clock they move by hand.

What has elapsed is measured by a timer, which no operator and no NTP sets: programs pass `time.monotonic`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
Timer = Callable[[], float]
"""Seconds since some moment; it never steps."""


def utc_now() -> datetime:
    """The present, aware and in UTC."""
    return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until told to move."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs an aware time")
        self.now = start

    def __call__(self) -> datetime:
        return self.now

    def advance(self, *, seconds: float) -> None:
        """Move by `seconds`; negative seconds step the clock back, as NTP may."""
        self.now += timedelta(seconds=seconds)


class ManualTimer:
    """A timer that stands still until told to move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def advance(self, *, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
