"""How much of the time this process was there to listen, and waits that are measured by it.

A process that gets no processor, that is stopped, or whose event loop is busy finds an answer late although it came in
time. What is measured by the wall then tells of this process, and not of the server that it asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Protocol

import structlog

from core.clock import Timer

_log = structlog.get_logger(__name__)

TICK_SECONDS = 0.05
WORTH_SECONDS = 2 * TICK_SECONDS
"""What may lie between two ticks. A loop that works, and collects garbage, comes late by less."""
STRETCH_MAX = 3.0
"""So many times as long as it should a wait may take by the wall: somebody waits for whoever waits."""
_MOMENT_SECONDS = 0.001  # the resolution of a loop's timers
_LOOK_SECONDS, _TOLD_FROM_SECONDS = 10.0, 1.0
"""So often it is looked whether to tell of it, and from so much on it is told."""


class Handle(Protocol):
    """What a loop gives for a call that is to come."""

    def cancel(self) -> None: ...


class Loop(Protocol):
    """What is needed of an event loop."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Handle: ...


class Attention:
    """A timer that stands still while the event loop is held up. Before the first tick it is the timer that it is made of.

    Any thread may ask it; it never goes back. Between `start` and `stop` it ticks by itself.
    """

    def __init__(self, timer: Timer = monotonic) -> None:
        self._timer = timer
        self._listened: tuple[float, float] | None = None  # up to the last tick, and when that was
        self._next: asyncio.TimerHandle | None = None
        self._looked_at = self._held_up_then = 0.0

    def __call__(self) -> float:
        return self._at(self._timer())

    def start(self) -> None:
        """Begin to look whether the event loop that runs comes in time."""
        self.tick()
        self._next = asyncio.get_running_loop().call_later(TICK_SECONDS, self.start)

    def stop(self) -> None:
        """Look no more: it stands still."""
        if self._next is not None:
            self._next.cancel()

    def tick(self) -> None:
        """The loop has come by."""
        now = self._timer()
        self._listened = (self._at(now), now)
        if now - self._looked_at >= _LOOK_SECONDS:
            self._tell(now)

    def _at(self, now: float) -> float:
        if self._listened is None:
            return now
        listened, ticked_at = self._listened
        return listened + min(now - ticked_at, WORTH_SECONDS)

    def _tell(self, now: float) -> None:
        """Log when much of the time since the last look was lost."""
        held_up = now - self._at(now)
        lost_seconds, since_seconds = held_up - self._held_up_then, now - self._looked_at
        self._held_up_then, self._looked_at = held_up, now
        if lost_seconds >= _TOLD_FROM_SECONDS:
            _log.warning("held up", seconds=round(lost_seconds, 1), of_seconds=round(since_seconds, 1))


class Expiry:
    """Calls `expire` once `seconds` have passed in which this process listened, and at the latest after `stretch_max` times
    as many.

    A loop that was held up comes to its timers before it comes to the answers that arrived meanwhile: a timer that comes
    late gives them one tick.
    """

    def __init__(
        self,
        seconds: float,
        expire: Callable[[], None],
        *,
        loop: Loop,
        listened: Timer,
        stretch_max: float = STRETCH_MAX,
    ) -> None:
        self._loop, self._expire, self._listened = loop, expire, listened
        self._until = listened() + seconds
        self._last_at = loop.time() + stretch_max * seconds
        self._was_late = False
        self._wait(seconds)

    def cancel(self) -> None:
        """Do not call it any more."""
        self._handle.cancel()

    def _wait(self, seconds: float) -> None:
        self._due_at = self._loop.time() + seconds
        self._handle = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        left = self._until - self._listened()
        if now - self._due_at > TICK_SECONDS and not self._was_late:
            self._was_late, left = True, max(left, TICK_SECONDS)
        left = min(left, self._last_at - now)
        if left > _MOMENT_SECONDS:
            self._wait(left)
        else:
            self._expire()


@asynccontextmanager
async def within(seconds: float, *, listened: Timer) -> AsyncIterator[None]:
    """Like `asyncio.timeout`, in seconds in which this process listened. Raises `TimeoutError`."""
    async with asyncio.timeout(None) as scope:
        loop = asyncio.get_running_loop()
        expiry = Expiry(seconds, lambda: scope.reschedule(loop.time()), loop=loop, listened=listened)
        try:
            yield
        finally:
            expiry.cancel()
