"""The store that stays up: MySQL while it is well, Redis and a journal on disk while it is not, the journal and what
follows from ids and secrets when both are down, and the way back. Its parts are put together here, started and closed,
and told what an operator says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import monotonic
from typing import TypeVar, cast
from uuid import UUID

import msgspec

from core.clock import Clock, Timer, utc_now
from core.errors import BadInput, Unavailable
from core.events import Category
from core.hooks import NO_HOOKS, Hooks
from core.settings.servers import Failover as FailoverSettings
from core.settings.servers import Journal as JournalSettings
from service.facts import AnyFact, ApiKey, IdempotencyClaim, RequestState
from service.failover.backlog import Backlog
from service.failover.choosing import Choosing
from service.failover.key_copies import KeyCopies
from service.failover.known_keys import KnownKeys
from service.failover.makers import Maker
from service.failover.mirroring import Mirroring
from service.failover.note import load_note
from service.failover.notices import OnNotice
from service.failover.operators import Operators
from service.failover.owed import Owed
from service.failover.presumption import Presumption
from service.failover.reads import Reads
from service.failover.recent import Recent
from service.failover.state import State
from service.failover.stateless import StatelessStore
from service.failover.status import FailoverView, Status
from service.failover.together import Together
from service.failover.warming import Warming
from service.failover.watch import Watch
from service.failover.writes import Writes
from service.stores import (
    Backup,
    Candidate,
    CheckOrder,
    CheckSubject,
    CheckVerdict,
    Claim,
    Cutoffs,
    Earlier,
    Primary,
    SendSubject,
)
from service.stores.derive import earlier_by_parts, known_candidates
from service.stores.faults import Unknowable

Answer = TypeVar("Answer")

_DOUBTS_MAX = 100_000
STORE_FOLDER = "store"
"""Below the journal's folder: the files of the primary store."""


class Failover:
    """A `Store` made of two. `start` it before use; one instance of it in a process.

    `in_doubt` are requests whose checks and receipts have to be told again: a check got another number than it was told
    of under, or may be counted although nobody was told, a receipt was told of with another time; whoever has told of them takes
    them out.
    """

    def __init__(
        self,
        *,
        primary: Primary,
        backup: Backup,
        settings: FailoverSettings,
        journal: JournalSettings,
        presumption: Presumption,
        claims_kept: timedelta = timedelta(hours=24),
        clock: Clock = utc_now,
        timer: Timer = monotonic,
        on_notice: OnNotice = lambda _notice: None,
        hooks: Hooks = NO_HOOKS,
    ) -> None:
        self._primary, self._backup = primary, backup
        self._folder = journal.folder / STORE_FOLDER
        self._state = state = State(
            settings, folder=self._folder, clock=clock, timer=timer, on_notice=on_notice, step=hooks.step
        )
        self.in_doubt: set[UUID] = set()
        self._backlog = Backlog(journal, self._folder, clock=clock, hooks=hooks, on_renumbered=self.in_doubt.add)
        self._mirroring = Mirroring(
            backup,
            # It copies as soon as the backup answers: what was done without it must be there before it is asked.
            is_on=lambda: not state.backup_down or state.backup_is_well.since is not None,
            on_error=state.backup_failed,
            retry_seconds=settings.probe_seconds,
            timer=timer,
        )
        self._owed = self._journals_of_all(settings, timer)
        self._choosing = Choosing(
            primary=primary,
            backup=backup,
            state=state,
            backlog=self._backlog,
            owed=self._owed,
            settings=settings,
            clock=clock,
        )
        self._keys = KnownKeys(self._folder, clock=clock)
        self._maker = Maker(self._folder, clock=clock)
        copies = KeyCopies(self._keys, self._mirroring, clock=clock)
        self._watch = Watch(
            primary=primary,
            backup=backup,
            state=state,
            backlog=self._backlog,
            owed=self._owed,
            keys=self._keys,
            maker=self._maker,
            operators=Operators(primary, on_key=copies.heard, clock=clock, timer=timer),
            warming=Warming(primary=primary, backup=backup, claims_kept=claims_kept, clock=clock),
            settings=settings,
            clock=clock,
            timer=timer,
        )
        recent = Recent()
        self._stateless = self._without_stores(presumption, recent, clock)
        self._reads = Reads(self._choosing, self._stateless, keys=copies)
        self._writes = self._writing(recent)

    def _journals_of_all(self, settings: FailoverSettings, timer: Timer) -> Owed:
        return Owed(
            self._backup,
            self._folder,
            is_on=lambda: not self._state.backup_down,
            on_error=self._state.backup_failed,
            on_new=self._state.woken.set,  # it may have given a word, too
            lag_seconds=lambda: self._mirroring.lag_seconds,
            order=lambda: self._state.order,
            probe_seconds=settings.probe_seconds,
            timer=timer,
        )

    def _without_stores(self, presumption: Presumption, recent: Recent, clock: Clock) -> StatelessStore:
        state = self._state
        return StatelessStore(
            record=self._backlog.record,
            probe=self._backlog.probe,
            recent=recent,
            keys=self._keys,
            presumption=presumption,
            outage=lambda: state.since if state.status is Status.BOTH_FATAL else None,
            maker=self._maker.number,
            clock=clock,
        )

    def _writing(self, recent: Recent) -> Writes:
        together = Together(
            primary=self._choosing.run_master,
            backup=self._choosing.run_backup,
            elsewhere=self._choosing.run_elsewhere,
            remembered=recent.state,
            on_renumbered=self.in_doubt.add,
        )
        return Writes(
            self._choosing,
            self._stateless,
            on_doubt=self._doubt,
            together=together,
            owed=self._owed,
            record=self._backlog.record,
            remember=self._backlog.remember,
            recent=recent,
            mirroring=self._mirroring,
        )

    def _doubt(self, request_id: UUID) -> None:
        if len(self.in_doubt) < _DOUBTS_MAX:
            self.in_doubt.add(request_id)

    # ---- life

    async def start(self) -> None:
        """Take up where the last process stopped, ask both stores, and begin to watch them."""
        self._backlog.look()
        self._keys.load()
        self._maker.load()
        self._owed.load()
        if (note := load_note(self._folder)) is not None:
            self._state.resume(note)
        self._mirroring.start()
        await self._watch.start()

    async def close(self) -> None:
        """Stop watching, write what waits, and let go of both stores. What is journaled stays for the next start."""
        await self._watch.close()
        await self._owed.close()
        await self._mirroring.close()
        with suppress(Unavailable):
            await self._backlog.catch_up()
        await asyncio.to_thread(self._backlog.close)
        await self._primary.close()
        await self._backup.close()

    @property
    def instance(self) -> str:
        """The name of this process among the others: 32 hex digits."""
        return self._state.instance

    # ---- the state object

    @property
    def status(self) -> Status:
        """The status now, as this instance sees it."""
        return self._state.status

    async def acquire_status(self) -> Status:
        """The status, after hearing what the other instances say."""
        await self._watch.listen()
        return self.status

    async def set_mysql_fatal(self, reason: str) -> None:
        """From now on the backup serves, and every write is journaled."""
        self._state.primary_fatal(reason)
        await self._watch.tell()

    async def set_redis_fatal(self, reason: str) -> None:
        """From now on nothing is mirrored."""
        self._state.backup_fatal(reason)
        await self._watch.tell()

    async def run_master(self, call: Callable[[Primary], Awaitable[Answer]]) -> Answer:
        """`call` on the primary store; its failure is counted and raised."""
        return await self._choosing.run_master(call)

    async def run_backup(self, call: Callable[[Backup], Awaitable[Answer]]) -> Answer:
        """`call` on the backup; its failure is counted and raised."""
        return await self._choosing.run_backup(call)

    async def record_sql(self, facts: Sequence[AnyFact]) -> None:
        """Make the SQL of `facts` durable. Raises `StoreUnavailable` when the disk does not confirm."""
        await self._backlog.record(facts)

    async def recover(self) -> None:
        """Go back to the primary store; journals are replayed meanwhile. Raises `StoreUnavailable` while it is not well."""
        if not self._state.primary_down:
            return
        await self._primary.probe()
        self._state.recover("an operator said so")
        await self._watch.tell()

    async def set(self, status: str, *, reason: str) -> None:
        """Declare a status by hand. Raises `BadInput` for one that cannot be declared."""
        if status == Status.MYSQL_FATAL:
            await self.set_mysql_fatal(reason or "an operator said so")
        elif status == Status.REDIS_FATAL:
            await self.set_redis_fatal(reason or "an operator said so")
        else:
            raise BadInput(
                f"a status to declare is {Status.MYSQL_FATAL} or {Status.REDIS_FATAL}; the way back is recover"
            )

    async def write_off(self, journal: str) -> None:
        """Wait no longer for the instance of this journal, which will not come back. Raises `BadInput`, `MirrorUnavailable`."""
        await self._owed.hear(anew=True)
        if journal not in {*self._owed.others, *self._owed.deaf}:
            raise BadInput(
                "no other instance owes a journal of this name, or is deaf",
                hint="`heliograph failover status` lists them as owed, and as deaf",
            )
        await self._owed.write_off(journal)
        self._state.woken.set()

    def view(self) -> FailoverView:
        """How things stand."""
        return FailoverView(
            status=self.status,
            since=self._state.since,
            reason=self._state.reason,
            backlog_bytes=self._backlog.size_bytes,
            looks_well_since=self._state.looks_well.since,
            problem="; ".join(filter(None, (self._backlog.problem, *self._state.troubles))),
            copies_dropped=self._mirroring.dropped,
            journal=self._owed.journal,
            owed=tuple(sorted(self._owed.others)),
            deaf=tuple(self._owed.deaf),
            history=tuple(self._state.history),
        )

    def describe(self) -> Mapping[str, object]:
        """The view in plain values, ready for JSON."""
        return cast("Mapping[str, object]", msgspec.to_builtins(self.view()))

    # ---- the store

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        return await self._writes.write(facts)

    async def check(self, order: CheckOrder) -> CheckVerdict:
        return await self._writes.check(order)

    async def claim(self, claim: IdempotencyClaim) -> Claim:
        return await self._writes.claim(claim)

    async def request(self, request_id: UUID) -> RequestState | None:
        return await self._reads.request(request_id)

    async def brief(self, request_id: UUID) -> RequestState | None:
        return await self._reads.brief(request_id)

    async def living(self, *, app: str, phone_hash: str, purpose: str, now: datetime) -> RequestState | None:
        return await self._reads.living(app=app, phone_hash=phone_hash, purpose=purpose, now=now)

    def id_for(self, *, app: str, phone_hash: str, purpose: str, fresh: UUID) -> UUID:
        return self._stateless.id_for(app=app, phone_hash=phone_hash, purpose=purpose, fresh=fresh)

    async def candidates(self, subject: CheckSubject) -> Sequence[Candidate]:
        if self.status is not Status.BOTH_FATAL:
            with suppress(Unknowable):
                found = await known_candidates(self, subject)
                if found or self.knows_all:
                    return found
        # A store that was lost, or a journal that is not replayed yet, may know of it: the id says enough.
        return await self._stateless.candidates(subject)

    async def sends_since(self, *, phone_hash: str, category: Category, since: datetime) -> list[datetime]:
        return await self._reads.sends_since(phone_hash=phone_hash, category=category, since=since)

    async def earlier(self, subject: SendSubject) -> Earlier:
        return await self._reads.earlier(subject, by_parts=lambda: earlier_by_parts(self, subject))

    async def opted_out(self, phone_hash: str) -> bool:
        return await self._reads.opted_out(phone_hash)

    async def api_key(self, key_hash: str) -> ApiKey | None:
        return await self._reads.api_key(key_hash)

    async def made_between(self, *, begun: tuple[datetime, datetime], made: tuple[datetime, datetime]) -> list[AnyFact]:
        """Outcomes and checks that the primary store has, made within a span, of requests begun within another."""
        return await self.run_master(lambda store: store.made_between(begun=begun, made=made))

    async def probe(self) -> None:
        """Passes while one of the stores, or the journal alone, takes writes."""
        await self._choosing.serve(
            lambda: self.run_master(lambda store: store.probe()),
            lambda: self.run_backup(lambda store: store.probe()),
            self._stateless.probe,
        )

    async def purge(self, cutoffs: Cutoffs, *, batch_max: int) -> int:
        """Delete one batch of old facts in the primary store, unless that has other troubles."""
        if self.status not in (Status.HEALTHY, Status.REDIS_FATAL):
            return 0
        return await self.run_master(lambda store: store.purge(cutoffs, batch_max=batch_max))

    @property
    def knows_all(self) -> bool:
        """What the store that serves does not know does not exist."""
        return self._choosing.knows_all
