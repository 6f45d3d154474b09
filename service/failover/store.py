"""The store that stays up: MySQL while it is well, Redis and a journal on disk while it is not, the journal and what
follows from ids and secrets when both are down, and the way back.

The call that meets a fatal error is served by the next one at once; what the primary store did not take is journaled
durably before it is answered, and replayed into it on recovery.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from functools import partial, reduce
from time import monotonic
from typing import Any, TypeVar, cast
from uuid import UUID

import msgspec

from core.clock import Clock, Timer, utc_now
from core.errors import BadInput, MirrorUnavailable, StoreUnavailable, Unavailable
from core.events import Category
from core.hooks import NO_HOOKS, Hooks
from core.ids import time_of
from core.settings.servers import Failover as FailoverSettings
from core.settings.servers import Journal as JournalSettings
from service.facts import (
    AnyFact,
    ApiKey,
    ApiKeyRevocation,
    Approval,
    Check,
    DeliveryReceipt,
    IdempotencyClaim,
    RequestState,
)
from service.failover.backlog import Backlog
from service.failover.known_keys import KnownKeys
from service.failover.makers import Maker
from service.failover.mirroring import Mirroring
from service.failover.note import load_note
from service.failover.notices import OnNotice
from service.failover.operators import Operators
from service.failover.owed import Owed
from service.failover.presumption import Presumption
from service.failover.recent import Recent
from service.failover.state import State
from service.failover.stateless import StatelessStore
from service.failover.status import FailoverView, Status
from service.failover.together import Together
from service.failover.warming import Warming
from service.failover.watch import HEARD_AFTER_PROBES, Watch
from service.stores import (
    Backup,
    Candidate,
    CheckOrder,
    CheckSubject,
    CheckVerdict,
    Claim,
    Cutoffs,
    Primary,
    Store,
    patience,
)
from service.stores.derive import facts_of_verdict, is_living, known_candidates, merge, newest
from service.stores.faults import FaultClass, Unknowable, fault_of

Answer = TypeVar("Answer")

STORE_FOLDER = "store"
"""Below the journal's folder: the files of the primary store."""
_MIRROR_WAIT_SECONDS = 0.05
"""What a check waits for its copy: a code counted here must not be guessed anew on the backup."""
_SKEW_SECONDS = 5.0
"""Another instance's clock may be ahead."""
_KEY_COPY_SECONDS = 60.0
"""A key in use is copied again after so long: a backup that was started empty, or that let it go, must have it back."""
_KEYS_REMEMBERED_MAX = 10_000


class Failover:
    """A `Store` made of two. `start` it before use; one instance of it in a process.

    `renumbered` are requests of which a check got another number than it was told of under; whoever has told of them takes
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
        self.renumbered: set[UUID] = set()
        self._backlog = Backlog(journal, self._folder, clock=clock, hooks=hooks, on_renumbered=self.renumbered.add)
        self._mirroring = Mirroring(
            backup,
            # It copies as soon as the backup answers: what was done without it must be there before it is asked.
            is_on=lambda: not state.backup_down or state.backup_is_well.since is not None,
            on_error=state.backup_failed,
            retry_seconds=settings.probe_seconds,
        )
        self._clock = clock
        self._skew = timedelta(seconds=_SKEW_SECONDS)
        self._all_heard = timedelta(seconds=HEARD_AFTER_PROBES * settings.probe_seconds) + self._skew
        self._recent = Recent()
        self._owed, self._together = self._agreement(settings, timer)
        self._keys = KnownKeys(self._folder, clock=clock)
        self._maker = Maker(self._folder, clock=clock)
        self._keys_copied: dict[str, datetime] = {}
        self._watch = Watch(
            primary=primary,
            backup=backup,
            state=state,
            backlog=self._backlog,
            owed=self._owed,
            keys=self._keys,
            maker=self._maker,
            operators=Operators(primary, on_key=self._heard_of_key, clock=clock, timer=timer),
            warming=Warming(primary=primary, backup=backup, claims_kept=claims_kept, clock=clock),
            settings=settings,
            clock=clock,
            timer=timer,
        )
        self._stateless = StatelessStore(
            record=self._backlog.record,
            probe=self._backlog.probe,
            recent=self._recent,
            keys=self._keys,
            presumption=presumption,
            outage=lambda: state.since if state.status is Status.BOTH_FATAL else None,
            maker=self._maker.number,
            clock=clock,
        )

    def _agreement(self, settings: FailoverSettings, timer: Timer) -> tuple[Owed, Together]:
        """What keeps two instances from deciding in two stores."""
        owed = Owed(
            self._backup,
            self._folder,
            is_on=lambda: not self._state.backup_down,
            on_error=self._state.backup_failed,
            on_new=self._state.woken.set,  # it may have given a word, too
            order=lambda: self._state.order,
            probe_seconds=settings.probe_seconds,
            timer=timer,
        )
        together = Together(
            primary=self.run_master,
            backup=self.run_backup,
            remembered=self._recent.state,
            is_on=lambda: not self._state.backup_down,
            on_renumbered=self.renumbered.add,
        )
        return owed, together

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
        with self._state.primary_counted():
            return await call(self._primary)

    async def run_backup(self, call: Callable[[Backup], Awaitable[Answer]]) -> Answer:
        """`call` on the backup; its failure is counted and raised."""
        with self._state.backup_counted():
            return await call(self._backup)

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
        """Wait no longer for the journal of an instance that will not come back. Raises `BadInput`, `MirrorUnavailable`."""
        await self._owed.hear(anew=True)
        if journal not in self._owed.others:
            raise BadInput(
                "no other instance owes a journal of this name", hint="`heliograph failover status` lists them as owed"
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
            history=tuple(self._state.history),
        )

    def describe(self) -> Mapping[str, object]:
        """The view in plain values, ready for JSON."""
        return cast("Mapping[str, object]", msgspec.to_builtins(self.view()))

    # ---- the store

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        async def on_primary() -> list[bool]:
            for request_id in {fact.request_id for fact in facts if isinstance(fact, DeliveryReceipt)}:
                if self._may_lie_elsewhere(request_id):
                    # with the final receipt that may have come before this one
                    await self._together.bring_home(request_id)
            if self._is_merging:
                await self._together.reserve(facts, may_lie_elsewhere=self._may_lie_elsewhere)
            told = await self.run_master(lambda store: store.write(facts))
            self._keep_warm(facts)
            return told

        async def on_backup() -> list[bool]:
            # Side by side: the caller waits for the slower of the two.
            others = [fact for fact in facts if not isinstance(fact, DeliveryReceipt)]
            told, _ = await _both(self.run_backup(lambda store: store.write(facts)), self.record_sql(others))
            await self.record_sql(await self._as_kept(facts, told))
            self._recent.add(facts)
            return told

        async def on_neither() -> list[bool]:
            told = await self._stateless.write(facts)
            self._mirroring.soon(facts)
            return told

        return await self._serve(on_primary, on_backup, on_neither)

    async def check(self, order: CheckOrder) -> CheckVerdict:
        async def on_primary() -> CheckVerdict:
            if self._may_lie_elsewhere(order.request_id):
                verdict = await self._together.check(order)
                self._recent.add(facts_of_verdict(order, verdict))
                return verdict
            verdict = await self.run_master(lambda store: store.check(order))
            facts = facts_of_verdict(order, verdict)
            self._recent.add(facts)
            await self._mirroring.within(facts, seconds=_MIRROR_WAIT_SECONDS)
            await self._owed.hear()  # a commit may take longer than what was heard before it is good
            if self._may_lie_elsewhere(order.request_id):
                return await self._together.confirm(order, verdict)
            return verdict

        async def on_backup() -> CheckVerdict:
            verdict = await self._together.check_backup(order)
            facts = facts_of_verdict(order, verdict) or await self._approved_before(order, verdict)
            self._recent.add(facts)
            await self.record_sql(facts)
            return verdict

        async def on_neither() -> CheckVerdict:
            verdict = await self._stateless.check(order)
            self._mirroring.soon(facts_of_verdict(order, verdict))
            return verdict

        return await self._serve(on_primary, on_backup, on_neither)

    async def claim(self, claim: IdempotencyClaim) -> Claim:
        async def on_primary() -> Claim:
            held = await self._held_elsewhere(claim) if self._is_merging else None
            if held is not None:
                return held
            taken = await self.run_master(lambda store: store.claim(claim))
            self._keep_warm([taken.holder])
            return taken

        async def on_backup() -> Claim:
            if (held := self._recent.held(claim)) is not None:
                return held  # the backup may have lost it
            taken = await self.run_backup(lambda store: store.claim(claim))
            self._recent.add([taken.holder])
            await self.record_sql([claim] if taken.ours else [])
            return taken

        async def on_neither() -> Claim:
            taken = await self._stateless.claim(claim)
            self._mirroring.soon([taken.holder])
            return taken

        return await self._serve(on_primary, on_backup, on_neither)

    async def request(self, request_id: UUID) -> RequestState | None:
        def call(store: Store) -> Awaitable[RequestState | None]:
            return store.request(request_id)

        async def on_primary() -> RequestState | None:
            if self._may_lie_elsewhere(request_id):
                first, others = await asyncio.gather(self.run_master(call), self._elsewhere(call))
                return reduce(merge, others, first)
            first = await self.run_master(call)
            if first is None and self._is_merging:  # it may come from an instance whose clock is ahead
                return reduce(merge, await self._elsewhere(call), first)
            return first

        async def on_backup() -> RequestState | None:
            return reduce(merge, await self._remembered(call), await self.run_backup(call))

        return await self._serve(on_primary, on_backup, lambda: call(self._stateless))

    async def brief(self, request_id: UUID) -> RequestState | None:
        return await self._read(lambda store: store.brief(request_id), merge)

    async def living(self, *, app: str, phone_hash: str, purpose: str, now: datetime) -> RequestState | None:
        def call(store: Store) -> Awaitable[RequestState | None]:
            return store.living(app=app, phone_hash=phone_hash, purpose=purpose, now=now)

        async def newest_of(states: Iterable[RequestState | None]) -> RequestState | None:
            found = {state.request.id for state in states if state is not None}
            # One store may know of an approval that the other has not heard of.
            known = [await self.request(request_id) for request_id in found]
            return newest(state for state in known if state is not None and is_living(state, now))

        async def on_primary() -> RequestState | None:
            first = await self.run_master(call)
            return await newest_of([first, *await self._elsewhere(call)]) if self._is_merging else first

        async def on_backup() -> RequestState | None:
            first, remembered = await self.run_backup(call), await call(self._stateless)
            is_same = remembered is None or (first is not None and first.request.id == remembered.request.id)
            return first if is_same else await newest_of([first, remembered])

        return await self._serve(on_primary, on_backup, lambda: call(self._stateless))

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
        def call(store: Store) -> Awaitable[list[datetime]]:
            return store.sends_since(phone_hash=phone_hash, category=category, since=since)

        return await self._read(call, lambda one, other: sorted((Counter(one) | Counter(other)).elements()))

    async def opted_out(self, phone_hash: str) -> bool:
        # Until the journals are drained a stop in either counts: a message too few bothers nobody.
        return await self._read(lambda store: store.opted_out(phone_hash), lambda one, other: one or other)

    async def api_key(self, key_hash: str) -> ApiKey | None:
        async def on_primary() -> ApiKey | None:
            key = await self.run_master(lambda store: store.api_key(key_hash))
            self._heard_of_key(key_hash, key)
            return key

        async def on_backup() -> ApiKey | None:
            return await self.run_backup(lambda store: store.api_key(key_hash)) or self._keys.get(key_hash)

        return await self._serve(on_primary, on_backup, lambda: self._stateless.api_key(key_hash))

    def _heard_of_key(self, key_hash: str, key: ApiKey | None) -> None:
        """Keys are made and ended beside the service, so nobody else brings them to the backup."""
        now = self._clock()
        if key is None:
            if self._keys.get(key_hash) is not None:
                self._keys.forget(key_hash)
                self._mirroring.soon([ApiKeyRevocation(key_hash=key_hash, at=now)])
            return
        self._keys.learn(key)
        copied = self._keys_copied.get(key_hash)
        if copied is not None and 0 <= (now - copied).total_seconds() < _KEY_COPY_SECONDS:
            return
        if len(self._keys_copied) >= _KEYS_REMEMBERED_MAX:
            self._keys_copied.clear()
        self._keys_copied[key_hash] = now
        self._mirroring.soon([key])

    async def made_between(self, *, begun: tuple[datetime, datetime], made: tuple[datetime, datetime]) -> list[AnyFact]:
        """Outcomes and checks that the primary store has, made within a span, of requests begun within another."""
        return await self.run_master(lambda store: store.made_between(begun=begun, made=made))

    async def probe(self) -> None:
        """Passes while one of the stores, or the journal alone, takes writes."""
        await self._serve(
            lambda: self.run_master(lambda store: store.probe()),
            lambda: self.run_backup(lambda store: store.probe()),
            self._stateless.probe,
        )

    async def purge(self, cutoffs: Cutoffs, *, batch_max: int) -> int:
        """Delete one batch of old facts in the primary store, unless that has other troubles."""
        if self.status not in (Status.HEALTHY, Status.REDIS_FATAL):
            return 0
        return await self.run_master(lambda store: store.purge(cutoffs, batch_max=batch_max))

    # ---- choosing

    @property
    def _is_merging(self) -> bool:
        """Some facts are in the backup, in a journal and in the memory of an instance only."""
        return self._state.recovering or not self._backlog.is_empty or bool(self._owed.others)

    def _may_lie_elsewhere(self, request_id: UUID) -> bool:
        """Whether facts of this request may be missing in the primary store.

        What was begun once all had heard the word to go back lies elsewhere only if this instance journaled it since:
        while a long outage is replayed, calls of new requests ask one store.
        """
        if not self._backlog.is_empty and self._backlog.may_hold(request_id):
            return True
        if any(order >= self._state.order for order in self._owed.others.values()):
            return True  # another instance has begun to journal since the last word
        if not self._state.recovering:
            return False
        begun = time_of(request_id)  # by the clock of whoever began it, which may be ahead of ours
        return begun < self._state.way_back_at + self._all_heard or begun > self._clock() + self._skew

    @property
    def knows_all(self) -> bool:
        """What the store that serves does not know does not exist."""
        return self._state.status in (Status.HEALTHY, Status.REDIS_FATAL) and not self._is_merging

    async def _serve(
        self,
        on_primary: Callable[[], Awaitable[Answer]],
        on_backup: Callable[[], Awaitable[Answer]],
        on_neither: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        if not self._state.primary_down:
            if not self._owed.is_fresh:
                await self._owed.hear()
            try:
                with patience.uncounted() if self._state.backup_down else nullcontext():
                    return await on_primary()
            except StoreUnavailable as error:
                if self._state.backup_down and fault_of(error) is FaultClass.TRANSIENT:
                    raise  # the store is there: what it counts must not be counted without it
        with self._backlog.call_on_backup():
            if not self._state.backup_down:
                with suppress(MirrorUnavailable):
                    await self._owed.owe()
                    return await on_backup()
            return await on_neither()

    async def _read(
        self,
        call: Callable[[Store], Awaitable[Answer]],
        together: Callable[[Answer, Answer], Answer],
    ) -> Answer:
        async def on_primary() -> Answer:
            if not self._is_merging:
                return await self.run_master(call)
            first, others = await asyncio.gather(self.run_master(call), self._elsewhere(call))
            return reduce(together, others, first)

        async def on_backup() -> Answer:
            return reduce(together, await self._remembered(call), await self.run_backup(call))

        return await self._serve(on_primary, on_backup, lambda: call(self._stateless))

    async def _elsewhere(self, call: Callable[[Store], Awaitable[Answer]]) -> list[Answer]:
        """What the backup and this instance know; nothing from the one that does not, for the primary store answers."""
        known: list[Answer] = []
        if not self._state.backup_down:
            with suppress(Unavailable):
                known.append(await self.run_backup(call))
        return known + await self._remembered(call)

    async def _remembered(self, call: Callable[[Store], Awaitable[Answer]]) -> list[Answer]:
        with suppress(Unknowable):
            return [await call(self._stateless)]
        return []

    async def _held_elsewhere(self, claim: IdempotencyClaim) -> Claim | None:
        """Who holds a key by a claim that the primary store may not have yet."""
        if (held := self._recent.held(claim)) is not None:
            return held
        if not self._state.backup_down:
            with suppress(Unavailable):
                held = await self.run_backup(lambda store: store.claim(claim))
        return None if held is None or held.ours else held

    async def _as_kept(self, facts: Sequence[AnyFact], told: Sequence[bool]) -> list[DeliveryReceipt]:
        """The receipts among `facts`, each as the backup holds it.

        Journals of several instances are replayed in any order: a receipt that came second, journaled as it came, might
        be the first that the primary store hears of, and a final state would go back.
        """
        receipts = [fact for fact in facts if isinstance(fact, DeliveryReceipt)]
        second = {
            fact.request_id
            for fact, new in zip(facts, told, strict=True)
            if isinstance(fact, DeliveryReceipt) and not new
        }
        kept: dict[tuple[object, ...], DeliveryReceipt] = {}
        for request_id in second:
            state = await self.run_backup(partial(_request_in, request_id=request_id))
            kept |= {receipt.key: receipt for receipt in (state.receipts if state else ())}
        return [kept.get(receipt.key, receipt) for receipt in receipts]

    async def _approved_before(self, order: CheckOrder, verdict: CheckVerdict) -> list[Check | Approval]:
        """What a caller is told of must be durable: whoever approved may have failed to journal it."""
        if verdict.result != "already_approved":
            return []
        state = await self.run_backup(partial(_request_in, request_id=order.request_id))
        if state is None or state.approval is None:
            return []
        return [*(row for row in state.checks if row.check == state.approval.check), state.approval]

    def _keep_warm(self, facts: Sequence[AnyFact]) -> None:
        """What the primary store took, the others must know before they have to answer for it."""
        self._recent.add(facts)
        self._mirroring.soon(facts)


def _request_in(store: Store, *, request_id: UUID) -> Awaitable[RequestState | None]:
    return store.request(request_id)


async def _both(one: Coroutine[Any, Any, Answer], other: Coroutine[Any, Any, None]) -> tuple[Answer, None]:
    """Run both to their ends, and raise the first failure only then: a write half done would be journaled behind our back."""
    told, done = await asyncio.gather(one, other, return_exceptions=True)
    for result in (told, done):
        if isinstance(result, BaseException):
            raise result
    return cast("Answer", told), None
