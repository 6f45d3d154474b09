"""After a crash: the warehouse is told again what a killed process had kept and perhaps not told any more.

A fact is kept before its event is journaled, so a kill leaves no event without a fact. An event has the key of its fact:
telling it twice is nothing, so all of the process's last seconds are told again, whoever wrote them. So are checks that
got another number, or whose answer was lost. A request that cannot be read costs its neighbours nothing: it is told of,
counted, and left to the next process, which may know how.
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
from core.errors import BadInput, HeliographError
from core.events import Event
from service.dispatch import send_event
from service.facts import AnyFact, AttemptOutcome, Check, DeliveryReceipt, RequestState
from service.receipts import receipt_event
from service.stores.pages import LIFETIME_MAX
from service.telemetry import Telemetry
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
_MOMENT = timedelta(milliseconds=1)
"""Ids tell no shorter times apart."""
_MOMENTS_MAX = 20
"""So many moments of a slice that cannot be read are found by halves; with more, what is left of it is passed over."""
_SPANS_MAX = 20
_ASKED_MAX = 200
_IN_DOUBT = (Check, DeliveryReceipt)
"""A check may have got another number than it was told of under, a receipt another time."""

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
    def in_doubt(self) -> set[UUID]:
        """Requests whose checks and receipts have to be told again; whoever has told of them takes them out."""
        ...


class Life(msgspec.Struct, frozen=True):
    """When this process was last alive, None once it has ended well; and spans that are still to be told again."""

    alive_at: datetime | None
    spans: tuple[Span, ...] = ()


class Aftermath:
    """A task between `start` and `stop` that leaves signs of life, and tells again what the process before left untold."""

    def __init__(
        self,
        folder: Path,
        store: Whole,
        *,
        tell: Tell,
        clock: Clock,
        telemetry: Telemetry,
        timer: Timer = monotonic,
    ) -> None:
        self._path = folder / FILE
        self._store, self._tell, self._clock, self._timer = store, tell, clock, timer
        self._telemetry = telemetry
        self._once_more: dict[UUID, float] = {}  # requests of such checks, and when they are told for the last time
        self._spans: tuple[Span, ...] = ()
        self._told_in_part: tuple[Span, ...] = ()
        self._unreadable: set[UUID | Span] = set()
        self._is_all_read = True
        self._task: asyncio.Task[None] | None = None

    def take_up(self) -> None:
        """See how the process before this one ended."""
        self._spans = self._left_untold()
        self._leave(Life(self._clock(), self._left()))

    def start(self) -> None:
        """Take up, and begin."""
        self.take_up()
        self._task = asyncio.create_task(self._run(), name="aftermath")

    async def stop(self, *, all_told: bool = True) -> None:
        """Stop; what is still to be told again is left for the next process, with this one's last seconds unless `all_told`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._leave(Life(None if all_told else self._clock(), self._left(ending=True)))

    async def look(self) -> None:
        """Leave a sign of life, and tell again what can be told. Raises `Unavailable`."""
        await asyncio.to_thread(self._leave, Life(self._clock(), self._left()))
        if not self._store.knows_all:
            return
        await self._tell_checks()
        while self._spans:
            span, self._is_all_read = self._spans[0], True
            told = await self._tell_span(span)
            _log.info("told again after a crash", events=told, since=span[0], until=span[1])
            self._spans = self._spans[1:]
            self._note_parts(span)

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
            facts = await self._made_between((begun, begun + _SLICE), made)
            for start in range(0, len(facts), _ASKED_MAX):
                told += await self._tell_facts(facts[start : start + _ASKED_MAX])
            begun += _SLICE
        return told

    async def _tell_facts(self, facts: Sequence[AnyFact]) -> int:
        rows = await self._read({fact.request_id for fact in facts if isinstance(fact, AttemptOutcome | Check)})
        wanted = {(type(fact), fact.key) for fact in facts}
        events = [event for fact, event in rows if (type(fact), fact.key) in wanted]
        await self._tell(events)
        return len(events)

    async def _tell_checks(self) -> None:
        """All checks of such a request: the event of the one whose number was taken twice must be that of the fact. Told at
        once, and when whatever was under way must be over: a commit may be late, and so may an event that is wrong by now.
        """
        now = self._timer()
        fresh = set(islice(self._store.in_doubt, _ASKED_MAX))
        due = {request_id for request_id, at in self._once_more.items() if at <= now}
        self._is_all_read = True
        await self._tell([event for fact, event in await self._read(fresh | due) if isinstance(fact, _IN_DOUBT)])
        self._note_parts(self._last_minute)
        self._store.in_doubt.difference_update(fresh)
        for request_id in due:
            del self._once_more[request_id]
        self._once_more |= dict.fromkeys(fresh, now + _OVER_SECONDS)

    async def _made_between(self, begun: Span, made: Span) -> list[AnyFact]:
        """All but what cannot be read, which is found by halves."""
        found: list[AnyFact] = []
        left, moments = [begun], 0
        while left:
            since, until = left.pop()
            try:
                found += await self._store.made_between(begun=(since, until), made=made)
            except Exception as error:  # whatever a row may do to whoever reads it
                if not _is_of_a_row(error):
                    raise
                await self._store.made_between(begun=(since, since), made=made)  # no row: what fails here fails all
                if until - since <= _MOMENT or moments >= _MOMENTS_MAX:
                    moments += 1
                    self._pass_over((since, until), error)
                else:
                    middle = since + (until - since) / 2
                    left += [(middle, until), (since, middle)]
        return found

    async def _read(self, ids: Iterable[UUID]) -> list[tuple[AnyFact, Event]]:
        """All but those that cannot be read: these fail whoever is asked for beside them, and so are asked for alone."""
        ids = list(ids)
        states = await asyncio.gather(*map(self._store.request, ids), return_exceptions=True)
        rows: list[tuple[AnyFact, Event]] = []
        for request_id, state in zip(ids, states, strict=True):
            if isinstance(state, BaseException) and not _is_of_a_row(state):
                raise state
            try:
                found = await self._store.request(request_id) if isinstance(state, BaseException) else state
                rows += events_of(found) if found else ()
            except Exception as error:  # whatever a row may do to whoever reads it
                if not _is_of_a_row(error):
                    raise
                self._pass_over(request_id, error)
        return rows

    def _pass_over(self, what: UUID | Span, error: Exception) -> None:
        self._is_all_read = False
        if what in self._unreadable:
            return  # what it was read with is read again, and so is this
        self._unreadable.add(what)
        self._telemetry.unreadable_rows.inc()
        place = {"request": str(what)} if isinstance(what, UUID) else {"begun_since": what[0], "begun_until": what[1]}
        _log.error(
            "rows of the store cannot be read: what they say is not told again before the next start",
            **place,
            reason=type(error).__name__,
            hint="look at the rows of these requests; all others go on",
        )

    def _note_parts(self, span: Span) -> None:
        if not self._is_all_read:
            self._told_in_part = (*self._told_in_part, span)[-_SPANS_MAX:]

    @property
    def _last_minute(self) -> Span:
        now = self._clock()
        return now - timedelta(seconds=2 * _OVER_SECONDS), now + _AFTER

    def _left(self, *, ending: bool = False) -> tuple[Span, ...]:
        is_more = ending and (self._store.in_doubt or self._once_more)
        return (*self._told_in_part, *self._spans, *((self._last_minute,) if is_more else ()))[-_SPANS_MAX:]


def _is_of_a_row(error: BaseException) -> bool:
    """Not of the store, which may be well later."""
    return isinstance(error, Exception) and (
        isinstance(error, BadInput) or not isinstance(error, HeliographError | OSError)
    )


def events_of(state: RequestState) -> list[tuple[AnyFact, Event]]:
    """Outcomes, checks and receipts of a request, each with its event."""
    attempts = {row.attempt: row for row in state.attempts}
    sends: list[tuple[AnyFact, Event]] = [
        (outcome, send_event(state.request, attempts[outcome.attempt], outcome))
        for outcome in state.outcomes
        if outcome.attempt in attempts
    ]
    checks: list[tuple[AnyFact, Event]] = [
        (check, verify_event(state, check.attempt, check.check, check.result, check.at, source=check.source))
        for check in state.checks
    ]
    return sends + checks + [(receipt, receipt_event(receipt)) for receipt in state.receipts]


def events_in_doubt(states: Iterable[RequestState | None]) -> list[Event]:
    """Those events of these requests that may have been told as another store had them: of all checks and receipts."""
    facts = [row for state in states if state is not None for row in events_of(state)]
    return [event for fact, event in facts if isinstance(fact, _IN_DOUBT)]
