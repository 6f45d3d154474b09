"""How the API answers, counted by the minute and told to the warehouse once a minute is over: against 99.99 %; and how much
waited in the journals meanwhile.

Health and telemetry calls do not count. In memory there are as many minutes as the queue's journal has not taken yet.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from core.clock import Clock
from core.events import Availability, Event
from core.journal import backlog_bytes

_log = structlog.get_logger(__name__)

PERIOD_SECONDS = 5.0
_LOOK_SECONDS_MAX = 2.0
"""A disk that takes longer hangs: minutes are told without it."""
_LATE = timedelta(seconds=15)
"""A call counts in the minute of its answer, so a minute is over when it is; the rest is for a clock that steps back."""


@dataclass(frozen=True)
class Backlog:
    """What waits in the journals of an instance, in bytes."""

    store: int
    events: int

    def or_more(self, other: Backlog | None) -> Backlog:
        """The greater of each."""
        return Backlog(max(self.store, other.store), max(self.events, other.events)) if other else self


@dataclass(frozen=True)
class Journals:
    """The folders of an instance's journals: of the stores, and of events."""

    store: Path
    events: Path

    def backlog(self) -> Backlog:
        """What waits in them; nothing where there is no folder yet. Raises `OSError`."""
        return Backlog(backlog_bytes(self.store), backlog_bytes(self.events))


@dataclass
class _Counts:
    calls: int = 0
    failed: int = 0
    shed: int = 0
    backlog: Backlog | None = None


class Minutes:
    """Counts of one instance. `tell` takes events and makes them durable."""

    def __init__(
        self, instance: str, *, journals: Journals, clock: Clock, period_seconds: float = PERIOD_SECONDS
    ) -> None:
        self._instance = instance
        self._period_seconds = period_seconds
        self._journals = journals
        self.waiting = Backlog(0, 0)
        """What was last seen to wait in the journals."""
        self._looking: asyncio.Task[Backlog] | None = None
        self._clock = clock
        self._counts: OrderedDict[datetime, _Counts] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    def answered(self, status: int) -> None:
        """A call was answered with this status."""
        counts = self._now()
        counts.calls += 1
        counts.failed += status >= 500

    def shed(self) -> None:
        """A call was refused because too many waited."""
        counts = self._now()
        counts.calls += 1
        counts.failed += 1
        counts.shed += 1

    def take(self, *, before: datetime) -> list[Availability]:
        """The minutes that were over `before` then; each is given once."""
        done = [at for at in self._counts if at + timedelta(minutes=1) <= before]
        return [self._event(at, self._counts.pop(at)) for at in sorted(done)]

    def start(self, tell: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
        """Tell every minute once it is over."""
        self._task = asyncio.create_task(self._run(tell), name="availability")

    async def stop(self, tell: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
        """Tell the rest, the present minute too."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.look()
        await tell(self.take(before=self._clock() + timedelta(minutes=1)))

    async def _run(self, tell: Callable[[Sequence[Event]], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._period_seconds)
            try:
                await self.look()
                await tell(self.take(before=self._clock() - _LATE))
            except Exception:  # noqa: BLE001  # whatever it is, the next minute has to be told
                _log.exception("a minute was not told")

    async def look(self) -> None:
        """See what waits in the journals now: a minute that was looked at is told, with or without calls."""
        counts = self._now()
        if (
            self._looking is None or self._looking.done()
        ):  # one at a time: a disk that hangs keeps no more than one thread
            self._looking = asyncio.create_task(asyncio.to_thread(self._journals.backlog))
        done, _ = await asyncio.wait({self._looking}, timeout=_LOOK_SECONDS_MAX)
        with suppress(OSError):  # the journals tell of a disk that fails
            if done:
                self.waiting = self._looking.result()
                counts.backlog = self.waiting.or_more(counts.backlog)

    def _now(self) -> _Counts:
        minute = self._clock().replace(second=0, microsecond=0)
        counts = self._counts.get(minute)
        if counts is None:
            counts = self._counts[minute] = _Counts()
        return counts

    def _event(self, at: datetime, counts: _Counts) -> Availability:
        seen = counts.backlog
        return Availability(
            at=at,
            instance=self._instance,
            calls=counts.calls,
            failed=counts.failed,
            shed=counts.shed,
            store_backlog_bytes=seen.store if seen else None,
            events_backlog_bytes=seen.events if seen else None,
        )
