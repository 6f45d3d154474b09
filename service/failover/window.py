"""How many failures of a store, and of which kind, are enough to call it down, and for how long it has been well."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from core.clock import Clock, Timer
from core.errors import Unavailable
from core.settings.servers import Failover as FailoverSettings
from service.stores.faults import FaultClass, StoreLate, fault_of

_INCIDENTS_MAX = 1000


class FailureWindow:
    """Failures of one store within the last `window_seconds`; `is_full` when they are enough to call it down.

    One failed transaction counts once, however many callers shared it. A saturated server counts half; contention,
    callers who gave up waiting and their own mistakes count not at all.
    """

    _WEIGHTS: ClassVar[Mapping[FaultClass, float]] = {
        FaultClass.FATAL: 1.0,
        FaultClass.CREDENTIALS: 1.0,
        FaultClass.SATURATED: 0.5,
    }

    def __init__(self, *, window_seconds: float, failures_max: int, timer: Timer) -> None:
        self._window_seconds = window_seconds
        self._failures_max = failures_max
        self._timer = timer
        self._failures: deque[tuple[float, float]] = deque()
        self._incidents: deque[int] = deque(maxlen=_INCIDENTS_MAX)

    @classmethod
    def of(cls, settings: FailoverSettings, *, timer: Timer) -> FailureWindow:
        """As the settings have it."""
        return cls(window_seconds=settings.window_seconds, failures_max=settings.fatal_errors, timer=timer)

    def add(self, error: Unavailable) -> None:
        """Count a failure."""
        incident = getattr(error, "incident", None)
        weight = 0.0 if isinstance(error, StoreLate) else self._WEIGHTS.get(fault_of(error), 0.0)
        if not weight or (incident is not None and incident in self._incidents):
            return
        if incident is not None:
            self._incidents.append(incident)
        self._failures.append((self._timer(), weight))

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
        oldest = self._timer() - self._window_seconds
        while self._failures and self._failures[0][0] <= oldest:
            self._failures.popleft()
        return sum(weight for _, weight in self._failures)


class Stretch:
    """For how long something has held without a break: by the timer, and for people by the clock."""

    def __init__(self, *, clock: Clock, timer: Timer) -> None:
        self._clock, self._timer = clock, timer
        self._begun = 0.0
        self.since: datetime | None = None

    @property
    def seconds(self) -> float:
        """0 while it does not hold."""
        return self._timer() - self._begun if self.since is not None else 0.0

    def hold(self) -> None:
        """It holds; it may have held before."""
        if self.since is None:
            self.since, self._begun = self._clock(), self._timer()

    def end(self) -> None:
        """It does not hold any more."""
        self.since = None
