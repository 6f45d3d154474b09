"""The store that stays up: MySQL while it is well, Redis and a journal on disk while it is not, and the way back.

The call that meets a fatal error is served by the backup at once; what the backup takes is journaled durably before it
is answered, and replayed into the primary store on recovery. Refuses a call only when both stores are down.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar, cast
from uuid import UUID

import msgspec

from core.clock import Clock, utc_now
from core.errors import BadInput, StoreUnavailable, Unavailable
from core.settings import Failover as FailoverSettings
from core.settings import Journal as JournalSettings
from service.facts import AnyFact, ApiKey, IdempotencyClaim, RequestState
from service.failover.backlog import Backlog
from service.failover.mirroring import Mirroring
from service.failover.note import load_note
from service.failover.state import OnChange, State
from service.failover.status import FailoverView, Status
from service.failover.watch import Watch
from service.stores import Backup, CheckOrder, CheckVerdict, Claim, Store
from service.stores.derive import facts_of, facts_of_verdict, is_living, merge, newest
from service.stores.faults import FaultClass, StoreFault

Answer = TypeVar("Answer")

STORE_FOLDER = "store"
"""Below the journal's folder: the files of the primary store."""
_MIRROR_WAIT_SECONDS = 0.05
"""What a check waits for its copy: a code counted here must not be guessed anew on the backup."""
_RETRY_HINT = "both stores are down; try again in a few seconds"
_KEY_COPY_SECONDS = 60.0
"""A key in use is copied again after so long: a backup that was started empty, or that let it go, must have it back."""
_KEYS_REMEMBERED_MAX = 10_000


class Failover:
    """A `Store` made of two. `start` it before use; one instance of it in a process."""

    def __init__(
        self,
        *,
        primary: Store,
        backup: Backup,
        settings: FailoverSettings,
        journal: JournalSettings,
        clock: Clock = utc_now,
        on_change: OnChange = lambda _old, _new, _reason: None,
    ) -> None:
        self._primary, self._backup = primary, backup
        self._folder = journal.folder / STORE_FOLDER
        self._state = state = State(settings, folder=self._folder, clock=clock, on_change=on_change)
        self._backlog = Backlog(journal, self._folder, clock=clock)
        self._mirroring = Mirroring(
            backup,
            is_on=lambda: not state.backup_down,
            on_error=state.backup_failed,
            retry_seconds=settings.probe_seconds,
        )
        self._watch = Watch(
            primary=primary, backup=backup, state=state, backlog=self._backlog, settings=settings, clock=clock
        )
        self._clock = clock
        self._keys_copied: dict[str, datetime] = {}

    # ---- life

    async def start(self) -> None:
        """Take up where the last process stopped, ask both stores, and begin to watch them."""
        self._backlog.look()
        if (note := load_note(self._folder)) is not None:
            self._state.resume(note)
        self._mirroring.start()
        await self._watch.start()

    async def close(self) -> None:
        """Stop watching, write what waits, and let go of both stores. What is journaled stays for the next start."""
        await self._watch.close()
        await self._mirroring.close()
        await asyncio.to_thread(self._backlog.close)
        await self._primary.close()
        await self._backup.close()

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

    async def run_master(self, call: Callable[[Store], Awaitable[Answer]]) -> Answer:
        """`call` on the primary store; its failure is counted and raised."""
        with self._state.primary_counted():
            return await call(self._primary)

    async def run_backup(self, call: Callable[[Backup], Awaitable[Answer]]) -> Answer:
        """`call` on the backup; its failure is counted, and raised as the failure of both."""
        if self._state.backup_down:
            raise self._neither()
        try:
            return await call(self._backup)
        except Unavailable as error:
            self._state.backup_failed(error)
            raise self._neither() from error

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

    def view(self) -> FailoverView:
        """How things stand."""
        return FailoverView(
            status=self.status,
            since=self._state.since,
            reason=self._state.reason,
            backlog_bytes=self._backlog.size_bytes,
            looks_well_since=self._state.looks_well_since,
            problem=self._backlog.problem,
            copies_dropped=self._mirroring.dropped,
            history=tuple(self._state.history),
        )

    def describe(self) -> Mapping[str, object]:
        """The view in plain values, ready for JSON."""
        return cast("Mapping[str, object]", msgspec.to_builtins(self.view()))

    # ---- the store

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        async def on_primary() -> list[bool]:
            told = await self.run_master(lambda store: store.write(facts))
            self._mirroring.soon(facts)
            return told

        async def on_backup() -> list[bool]:
            # Side by side: the caller waits for the slower of the two.
            told, _ = await _both(self.run_backup(lambda store: store.write(facts)), self.record_sql(facts))
            return told

        return await self._serve(on_primary, on_backup)

    async def check(self, order: CheckOrder) -> CheckVerdict:
        async def on_primary() -> CheckVerdict:
            if self._is_merging:
                await self._bring_home(order.request_id)
            verdict = await self.run_master(lambda store: store.check(order))
            await self._mirroring.within(facts_of_verdict(order, verdict), seconds=_MIRROR_WAIT_SECONDS)
            return verdict

        async def on_backup() -> CheckVerdict:
            verdict = await self.run_backup(lambda store: store.check(order))
            await self.record_sql(facts_of_verdict(order, verdict))
            return verdict

        return await self._serve(on_primary, on_backup)

    async def claim(self, claim: IdempotencyClaim) -> Claim:
        async def on_primary() -> Claim:
            held = await self._on_miss(lambda store: store.claim(claim)) if self._is_merging else None
            if held is not None and not held.ours:
                return held
            taken = await self.run_master(lambda store: store.claim(claim))
            self._mirroring.soon([taken.holder])
            return taken

        async def on_backup() -> Claim:
            taken = await self.run_backup(lambda store: store.claim(claim))
            await self.record_sql([claim] if taken.ours else [])
            return taken

        return await self._serve(on_primary, on_backup)

    async def request(self, request_id: UUID) -> RequestState | None:
        def call(store: Store) -> Awaitable[RequestState | None]:
            return store.request(request_id)

        return await self._read(call, merge)

    async def living(self, *, app: str, phone_hash: str, purpose: str, now: datetime) -> RequestState | None:
        def call(store: Store) -> Awaitable[RequestState | None]:
            return store.living(app=app, phone_hash=phone_hash, purpose=purpose, now=now)

        async def on_primary() -> RequestState | None:
            first = await self.run_master(call)
            if not self._is_merging:
                return first
            found = {state.request.id for state in (first, await self._on_miss(call)) if state is not None}
            # One store may know of an approval that the other has not heard of.
            states = [await self.request(request_id) for request_id in found]
            return newest(state for state in states if state is not None and is_living(state, now))

        return await self._serve(on_primary, lambda: self.run_backup(call))

    async def sends_since(self, *, phone_hash: str, since: datetime) -> list[datetime]:
        def call(store: Store) -> Awaitable[list[datetime]]:
            return store.sends_since(phone_hash=phone_hash, since=since)

        return await self._read(call, lambda one, other: sorted((Counter(one) | Counter(other)).elements()))

    async def opted_out(self, phone_hash: str) -> bool:
        # Until the journals are drained a stop in either counts: a message too few bothers nobody.
        return await self._read(lambda store: store.opted_out(phone_hash), lambda one, other: one or other)

    async def api_key(self, key_hash: str) -> ApiKey | None:
        key = await self._read(lambda store: store.api_key(key_hash), lambda one, other: one or other)
        if key is not None and not self._state.primary_down:
            self._copy_key(key)
        return key

    def _copy_key(self, key: ApiKey) -> None:
        """Keys are made beside the service, so nobody else brings them to the backup."""
        now = self._clock()
        copied = self._keys_copied.get(key.key_hash)
        if copied is not None and 0 <= (now - copied).total_seconds() < _KEY_COPY_SECONDS:
            return
        if len(self._keys_copied) >= _KEYS_REMEMBERED_MAX:
            self._keys_copied.clear()
        self._keys_copied[key.key_hash] = now
        self._mirroring.soon([key])

    async def probe(self) -> None:
        """Passes while one of the stores takes writes."""
        await self._serve(
            lambda: self.run_master(lambda store: store.probe()), lambda: self.run_backup(lambda store: store.probe())
        )

    # ---- choosing

    @property
    def _is_merging(self) -> bool:
        """Some facts are in the backup and the journal only."""
        return (self._state.recovering or not self._backlog.is_empty) and not self._state.backup_down

    async def _serve(
        self,
        on_primary: Callable[[], Awaitable[Answer]],
        on_backup: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        if not self._state.primary_down:
            try:
                return await on_primary()
            except Unavailable:
                if self._state.backup_down:
                    raise
        with self._backlog.call_on_backup():
            return await on_backup()

    async def _read(
        self,
        call: Callable[[Store], Awaitable[Answer]],
        together: Callable[[Answer, Answer], Answer],
    ) -> Answer:
        async def on_primary() -> Answer:
            if not self._is_merging:
                return await self.run_master(call)
            first, second = await asyncio.gather(self.run_master(call), self._on_miss(call))
            return first if second is None else together(first, second)

        return await self._serve(on_primary, lambda: self.run_backup(call))

    async def _on_miss(self, call: Callable[[Store], Awaitable[Answer]]) -> Answer | None:
        """What the backup knows; nothing when it does not answer, for the primary store does."""
        with suppress(Unavailable):
            return await self.run_backup(call)
        return None

    async def _bring_home(self, request_id: UUID) -> None:
        """Before the primary store counts a check it must know those that the backup counted."""
        state = await self._on_miss(lambda store: store.request(request_id))
        if state is not None:
            await self.run_master(lambda store: store.write(facts_of(state)))

    def _neither(self) -> StoreUnavailable:
        """Both stores are down: the place where a mode without stores would begin."""
        return StoreFault("no store took it", fault=FaultClass.FATAL, hint=_RETRY_HINT)


async def _both(one: Coroutine[Any, Any, Answer], other: Coroutine[Any, Any, None]) -> tuple[Answer, None]:
    """Run both to their ends, and raise the first failure only then: a write half done would be journaled behind our back."""
    told, done = await asyncio.gather(one, other, return_exceptions=True)
    for result in (told, done):
        if isinstance(result, BaseException):
            raise result
    return cast("Answer", told), None
