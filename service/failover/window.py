"""How many failures of a store, and of which kind, are enough to call it down."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar

from core.clock import Clock
from core.errors import Unavailable
from core.settings import Failover as FailoverSettings
from service.stores.faults import FaultClass, fault_of

_INCIDENTS_MAX = 1000


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
