"""After a crash: the warehouse is told again what a killed process had kept and perhaps not told any more.

A fact is kept before its event is journaled, so a kill leaves no event without a fact. An event has the key of its fact:
telling it twice is nothing, so all of the process's last seconds are told again, whoever wrote them. So are checks that
got another number, or whose answer was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Protocol
from uuid import UUID

import msgspec
import structlog

from core.clock import Clock, Timer
from core.errors import HeliographError
from core.events import Event
from service.dispatch import send_event
from service.facts import AnyFact, AttemptOutcome, Check, RequestState
from service.stores.pages import LIFETIME_MAX
from service.verifications import verify_event

_log = structlog.get_logger(__name__)

FILE = "alive.json"
_BEAT_SECONDS = 1.0
_BEFORE, _AFTER = timedelta(seconds=20), timedelta(seconds=60)
"""Around the last sign of life: a call carries the time at which it began, and a power cut takes some signs back."""
_OVER_SECONDS = 30.0
"""No statement that a caller gave up is under way for longer, nor an event on its way to the warehouse."""
_SLICE = timedelta(seconds=10)
"""Requests that are looked through at once: 10,000 at 1,000 a second."""
_SPANS_MAX = 20
_ASKED_MAX = 200

Span = tuple[datetime, datetime]
Tell = Callable[[Sequence[Event]], Awaitable[None]]


class Whole(Protocol):
    """The stores, and whether the primary one has everything."""

    @property
    def knows_all(self) -> bool:
        """No journal waits, and the primary store serves."""
        ...

    async def made_between(self, *, begun: Span, made: Span) -> list[AnyFact]:
        """Outcomes and checks. Raises `Unavailable`."""
        ...

    async def request(self, request_id: UUID) -> RequestState | None:
        """All that is known of one request. Raises `Unavailable`."""
        ...

    @property
    def checks_to_tell(self) -> set[UUID]:
        """Requests whose checks have to be told again; whoever has told of them takes them out."""
        ...


class Life(msgspec.Struct, frozen=True):
    """When this process was last alive, None once it has ended well; and spans that are still to be told again."""

    alive_at: datetime | None
    spans: tuple[Span, ...] = ()


class Aftermath:
    """A task between `start` and `stop` that leaves signs of life, and tells again what the process before left untold."""

    def __init__(self, folder: Path, store: Whole, *, tell: Tell, clock: Clock, timer: Timer = monotonic) -> None:
        self._path = folder / FILE
        self._store, self._tell, self._clock, self._timer = store, tell, clock, timer
        self._once_more: dict[UUID, float] = {}  # requests of such checks, and when they are told for the last time
        self._spans: tuple[Span, ...] = ()
        self._task: asyncio.Task[None] | None = None

    def take_up(self) -> None:
        """See how the process before this one ended."""
        self._spans = self._left_untold()
        self._leave(Life(self._clock(), self._spans))

    def start(self) -> None:
        """Take up, and begin."""
        self.take_up()
        self._task = asyncio.create_task(self._run(), name="aftermath")

    async def stop(self, *, all_told: bool = True) -> None:
        """Stop; what is still to be told again is left for the next process, with this one's last seconds unless `all_told`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._leave(Life(None if all_told else self._clock(), self._spans_left()))

    async def look(self) -> None:
        """Leave a sign of life, and tell again what can be told. Raises `Unavailable`."""
        await asyncio.to_thread(self._leave, Life(self._clock(), self._spans))
        if not self._store.knows_all:
            return
        await self._tell_checks()
        while self._spans:
            told = await self._tell_span(self._spans[0])
            _log.info("told again after a crash", events=told, since=self._spans[0][0], until=self._spans[0][1])
            self._spans = self._spans[1:]

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except (HeliographError, OSError) as error:
                _log.warning("telling again waits", reason=str(error))
            except Exception:  # noqa: BLE001  # whatever it is, signs of life must go on
                _log.exception("telling again waits")
            await asyncio.sleep(_BEAT_SECONDS)

    def _left_untold(self) -> tuple[Span, ...]:
        try:
            life = msgspec.json.decode(self._path.read_bytes(), type=Life)
        except (OSError, msgspec.MsgspecError, ValueError):
            return ()
        if life.alive_at is None:
            return life.spans
        until = min(life.alive_at + _AFTER, max(life.alive_at, self._clock()))
        return (*life.spans, (life.alive_at - _BEFORE, until))[-_SPANS_MAX:]

    def _leave(self, life: Life) -> None:
        """Whole or not at all; a disk that takes nothing is told of by the journals."""
        fresh = self._path.with_suffix(".new")
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_bytes(msgspec.json.encode(life))
            fresh.replace(self._path)

    async def _tell_span(self, made: Span) -> int:
        told, begun = 0, made[0] - LIFETIME_MAX
        while begun < made[1] + _BEFORE:
            facts = await self._store.made_between(begun=(begun, begun + _SLICE), made=made)
            for start in range(0, len(facts), _ASKED_MAX):
                told += await self._tell_facts(facts[start : start + _ASKED_MAX])
            begun += _SLICE
        return told

    async def _tell_facts(self, facts: Sequence[AnyFact]) -> int:
        ids = {fact.request_id for fact in facts if isinstance(fact, AttemptOutcome | Check)}
        states = await asyncio.gather(*map(self._store.request, ids))
        wanted = {(type(fact), fact.key) for fact in facts}
        events = [
            event
            for state in states
            if state is not None
            for fact, event in events_of(state)
            if (type(fact), fact.key) in wanted
        ]
        await self._tell(events)
        return len(events)

    async def _tell_checks(self) -> None:
        """All checks of such a request: the event of the one whose number was taken twice must be that of the fact. Told at
        once, and when whatever was under way must be over: a commit may be late, and so may an event that is wrong by now.
        """
        now = self._timer()
        fresh = set(islice(self._store.checks_to_tell, _ASKED_MAX))
        due = {request_id for request_id, at in self._once_more.items() if at <= now}
        states = await asyncio.gather(*map(self._store.request, fresh | due))
        await self._tell(events_of_checks(states))
        self._store.checks_to_tell.difference_update(fresh)
        for request_id in due:
            del self._once_more[request_id]
        self._once_more |= dict.fromkeys(fresh, now + _OVER_SECONDS)

    def _spans_left(self) -> tuple[Span, ...]:
        if not (self._store.checks_to_tell or self._once_more):
            return self._spans
        now = self._clock()
        return (*self._spans, (now - timedelta(seconds=2 * _OVER_SECONDS), now + _AFTER))[-_SPANS_MAX:]


def events_of(state: RequestState) -> list[tuple[AnyFact, Event]]:
    """Outcomes and checks of a request, each with its event."""
    attempts = {row.attempt: row for row in state.attempts}
    sends: list[tuple[AnyFact, Event]] = [
        (outcome, send_event(state.request, attempts[outcome.attempt], outcome))
        for outcome in state.outcomes
        if outcome.attempt in attempts
    ]
    return sends + [
        (check, verify_event(state, check.attempt, check.check, check.result, check.at, source=check.source))
        for check in state.checks
    ]


def events_of_checks(states: Iterable[RequestState | None]) -> list[Event]:
    """The events of all checks of these requests."""
    facts = [row for state in states if state is not None for row in events_of(state)]
    return [event for fact, event in facts if isinstance(fact, Check)]
