"""The primary store on MySQL, MariaDB or SQLite: one thread writes what has gathered, one reads, one probes.

The event loop never waits for the server, and no caller waits longer than the timeouts in the settings allow. A write
whose answer did not come in time may have happened; writing it again is a no-op.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from math import inf
from threading import Event
from time import monotonic
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

from sqlalchemy import Connection, delete, insert, select

from core.clock import Clock, Timer, utc_now
from core.events import Category
from core.lane import Lane
from core.settings.servers import Store as StoreSettings
from service.facts import AnyFact, ApiKey, Check, IdempotencyClaim, RequestState
from service.stores import (
    Bookmark,
    Candidate,
    CheckOrder,
    CheckSubject,
    CheckVerdict,
    Claim,
    Cutoffs,
    Earlier,
    Page,
    SendSubject,
    first_facts,
    lately,
    old_facts,
    pages,
    patience,
    schema,
    told_numbers,
)
from service.stores.database import SCHEMA_SECONDS, Database
from service.stores.derive import known_candidates
from service.stores.faults import FactRefused, FaultClass, StoreFault, StoreLate
from service.stores.patience import Waited
from service.stores.reader import (
    AskBrief,
    AskChecks,
    AskKey,
    AskLiving,
    AskOptOut,
    AskRequest,
    AskSends,
    Question,
    Reader,
    Told,
)
from service.stores.writer import Done, Order, WriteFacts, Writer

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Chore = Callable[[Connection], object]

_PATIENCE_SECONDS = 0.25
"""What a caller waits beyond the server's own time, for the batch before his."""
_SLOW_SHARE = 0.15
"""Of the time that a call waits for an answer: a batch that takes longer is slow."""
_PULSE_SHARE = 0.4
"""Of the time that a call waits for an answer: so long a bare question waits."""
_PULSE_GRACE_SECONDS = 0.2
"""For an answer that comes drop by drop, no driver's limit is ever over."""
_BARE = select(1)


class SqlStore:
    """A `Store`. Tables are made when a connection first succeeds, so a service can start while the server is down.

    `listened` stands still while this process is held up: it is no proof of a server's silence that nobody listened.
    """

    def __init__(self, settings: StoreSettings, *, clock: Clock = utc_now, listened: Timer = monotonic) -> None:
        self._clock, self._listened = clock, listened
        self._instance = uuid4()
        self._deadline_seconds = settings.read_timeout_seconds + _PATIENCE_SECONDS
        self._read_timeout_seconds = settings.read_timeout_seconds
        self._slow_seconds = _SLOW_SHARE * settings.read_timeout_seconds
        tables = Event()
        # The writer must see what other instances have committed since; a reader wants one moment for all its tables.
        open_database = partial(Database, clock=clock, has_schema=tables, listened=listened)
        writes = open_database(settings, isolation="READ COMMITTED")
        reads = open_database(settings, isolation="REPEATABLE READ")
        self._probing = open_database(settings, isolation="READ COMMITTED")
        self._chores = open_database(settings, isolation="READ COMMITTED")
        self._pulse_seconds = _PULSE_SHARE * settings.read_timeout_seconds
        brief = {"read_timeout_seconds": self._pulse_seconds, "connect_timeout_seconds": self._pulse_seconds}
        self._pulsing = open_database(settings.model_copy(update=brief), isolation="READ COMMITTED")
        self._writes = writes
        self._databases = (writes, reads, self._probing, self._chores, self._pulsing)
        many = partial(
            Lane, batch_max=settings.lane_batch_max, waiting_max=settings.lane_waiting_max, listened=listened
        )
        one = partial(Lane, batch_max=1, waiting_max=10, listened=listened)
        self._writing: Lane[Order, Done] = many("store-writes", Writer(writes))
        self._reading: Lane[Question, Told] = many("store-reads", Reader(reads))
        self._probes: Lane[None, None] = one("store-probes", self._probe)
        self._pulses: Lane[None, None] = one("store-pulse", self._beat)
        # Apart from the probes: a chore that takes long must not look like a server that is down.
        self._chore_lane: Lane[Chore, Any] = one("store-chores", self._do_chore)

    async def prepare(self) -> None:
        """Make the tables that are missing, which may take longer than any call: for the start of a program."""
        await self._do(self._chore_lane, lambda _connection: None, within_seconds=SCHEMA_SECONDS)

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        if not facts:
            return []
        return cast("list[bool]", await self._do(self._writing, WriteFacts(tuple(facts))))

    async def request(self, request_id: UUID) -> RequestState | None:
        return cast("RequestState | None", await self._do(self._reading, AskRequest(request_id)))

    async def brief(self, request_id: UUID) -> RequestState | None:
        return cast("RequestState | None", await self._do(self._reading, AskBrief(request_id)))

    async def checks(self, request_id: UUID) -> list[Check]:
        return cast("list[Check]", await self._do(self._reading, AskChecks(request_id)))

    async def living(self, *, app: str, phone_hash: str, purpose: str, now: datetime) -> RequestState | None:
        question = AskLiving(app=app, phone_hash=phone_hash, purpose=purpose, now=now)
        return cast("RequestState | None", await self._do(self._reading, question))

    def id_for(self, *, app: str, phone_hash: str, purpose: str, fresh: UUID) -> UUID:
        return fresh

    async def candidates(self, subject: CheckSubject) -> Sequence[Candidate]:
        return await known_candidates(self, subject)

    async def sends_since(self, *, phone_hash: str, category: Category, since: datetime) -> list[datetime]:
        question = AskSends(phone_hash=phone_hash, category=category, since=since)
        return cast("list[datetime]", await self._do(self._reading, question))

    async def earlier(self, subject: SendSubject) -> Earlier:
        return cast("Earlier", await self._do(self._reading, subject))

    async def opted_out(self, phone_hash: str) -> bool:
        return cast("bool", await self._do(self._reading, AskOptOut(phone_hash)))

    async def check(self, order: CheckOrder) -> CheckVerdict:
        return cast("CheckVerdict", await self._do(self._writing, order))

    async def claim(self, claim: IdempotencyClaim) -> Claim:
        return cast("Claim", await self._do(self._writing, claim))

    async def api_key(self, key_hash: str) -> ApiKey | None:
        return cast("ApiKey | None", await self._do(self._reading, AskKey(key_hash)))

    async def probe(self) -> None:
        await self._do(self._probes, None)

    @property
    def stalled_seconds(self) -> float:
        return max(self._writing.busy_seconds, self._reading.busy_seconds)

    async def pulse(self) -> None:
        heard_from = self._listened()
        is_silent = False
        while not is_silent:
            begun = monotonic()
            try:
                within_seconds = self._pulse_seconds + _PULSE_GRACE_SECONDS
                await self._pulses.do(None, within_seconds=within_seconds, stretch_max=inf)
                return
            except (TimeoutError, StoreFault) as error:
                if monotonic() - begun < 0.9 * self._pulse_seconds and isinstance(error, StoreFault):
                    raise
            # Who was held up meanwhile asks again, until he has listened for long enough.
            is_silent = self._listened() - heard_from >= 0.9 * self._pulse_seconds
        raise StoreLate("the store is silent", fault=FaultClass.FATAL)

    async def keep_first(self, facts: Sequence[AnyFact]) -> None:
        def chore(connection: Connection) -> None:
            first_facts.keep_first(connection, facts)

        if facts:
            await self._do(self._chore_lane, chore)

    async def renumber(self, check: Check, number: int) -> None:
        def chore(connection: Connection) -> None:
            told_numbers.renumber(connection, check, number)

        await self._do(self._chore_lane, chore)

    async def made_between(self, *, begun: tuple[datetime, datetime], made: tuple[datetime, datetime]) -> list[AnyFact]:
        def chore(connection: Connection) -> list[AnyFact]:
            return lately.made_between(connection, begun=begun, made=made)

        return cast("list[AnyFact]", await self._do(self._chore_lane, chore))

    async def page(self, bookmark: Bookmark, *, now: datetime, claims_since: datetime, most: int) -> Page:
        def chore(connection: Connection) -> Page:
            return pages.page(connection, bookmark, now=now, claims_since=claims_since, most=most)

        return cast("Page", await self._do(self._chore_lane, chore))

    async def purge(self, cutoffs: Cutoffs, *, batch_max: int) -> int:
        def chore(connection: Connection) -> int:
            return old_facts.purge_some(connection, cutoffs, batch_max=batch_max)

        return cast("int", await self._do(self._chore_lane, chore))

    async def close(self) -> None:
        lanes = (self._writing, self._reading, self._probes, self._chore_lane, self._pulses)
        await asyncio.gather(*(asyncio.to_thread(lane.close) for lane in lanes))
        for database in self._databases:
            database.close()

    @property
    def waiting(self) -> int:
        """Writes that wait, for telemetry."""
        return self._writing.waiting

    async def _do(self, lane: Lane[Item, Answer], item: Item, *, within_seconds: float = 0.0) -> Answer:
        waited = patience.waited()
        within_seconds = within_seconds or self._left_seconds(lane, waited)
        heard_from = self._listened()
        try:
            return await lane.do(item, within_seconds=within_seconds)
        except TimeoutError:
            hint = "the server may hang; what was asked may still happen"
            fault = self._fault_of_lateness(lane, is_held_up=self._listened() - heard_from < 0.9 * within_seconds)
            raise StoreLate("the store did not answer in time", fault=fault, hint=hint) from None
        finally:
            if waited is not None:
                waited.seconds += self._listened() - heard_from

    def _fault_of_lateness(self, lane: Lane[Item, Answer], *, is_held_up: bool) -> FaultClass:
        if is_held_up:
            return FaultClass.HELD_UP
        # Who waited behind a transaction that waits for a lock has seen contention, and no server that hangs.
        return FaultClass.TRANSIENT if lane is self._writing and self._writes.is_contended else FaultClass.FATAL

    def _left_seconds(self, lane: Lane[Item, Answer], waited: Waited | None) -> float:
        """A call waits for a slow store once, not once a question; a queue that moves is no slow store.

        Raises `StoreLate` when nothing is left.
        """
        if waited is None or lane.pace_seconds < self._slow_seconds:
            return self._deadline_seconds
        left_seconds = self._read_timeout_seconds - waited.seconds
        if left_seconds < _PATIENCE_SECONDS:  # in less, a moment in which nobody listened looks like all of it
            raise StoreLate("the call has waited long enough for a slow store", fault=FaultClass.FATAL)
        return left_seconds

    def _do_chore(self, chores: Sequence[Chore]) -> list[object]:
        try:
            return [self._chores.run(chore, writes=True) for chore in chores]
        except (StoreFault, FactRefused) as error:
            return [error for _ in chores]

    def _probe(self, items: Sequence[None]) -> list[BaseException | None]:
        try:
            self._probing.run(self._leave_mark, writes=True)
        except StoreFault as fault:
            return [fault]
        return [None for _ in items]

    def _beat(self, items: Sequence[None]) -> list[BaseException | None]:
        try:
            self._pulsing.run(lambda connection: connection.execute(_BARE), writes=False)
        except StoreFault as fault:
            return [fault]
        return [None for _ in items]

    def _leave_mark(self, connection: Connection) -> None:
        connection.execute(delete(schema.probes).where(schema.probes.c.instance == self._instance))
        connection.execute(insert(schema.probes), {"instance": self._instance, "at": self._clock()})
