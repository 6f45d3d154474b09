"""The store that stays up: MySQL while it is well, Redis and a journal on disk while it is not, and the way back.

The call that meets a fatal error is served by the backup at once; what the backup takes is journaled durably before it
is answered, and replayed into the primary store on recovery. Refuses a call only when both stores are down.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import msgspec
import structlog

from core.clock import Clock, utc_now
from core.errors import BadInput, HeliographError, JournalWriteFailed, StoreUnavailable, Unavailable
from core.journal import backlog_bytes, closed_files
from core.settings import Failover as FailoverSettings
from core.settings import Journal as JournalSettings
from service.facts import AnyFact, ApiKey, IdempotencyClaim, RequestState
from service.failover_state import (
    HISTORY_MAX,
    Change,
    FailoverView,
    FailureWindow,
    Note,
    Status,
    decode_note,
    encode_note,
    keep_note,
    load_note,
)
from service.journaling import Recorder
from service.mirroring import Mirroring
from service.replay import replay
from service.stores import Backup, CheckOrder, CheckVerdict, Claim, Store
from service.stores.derive import facts_of, facts_of_verdict, is_living, merge, newest
from service.stores.faults import FaultClass, StoreFault

Answer = TypeVar("Answer")
OnChange = Callable[[Status, Status, str], None]
"""Told of every change of status, and with the same status twice when the failed store looks well again."""

_log = structlog.get_logger(__name__)

STORE_FOLDER = "store"
"""Below the journal's folder: the files of the primary store."""
_MIRROR_WAIT_SECONDS = 0.05
"""What a check waits for its copy: a code counted here must not be guessed anew on the backup."""
_RENEWALS_MISSED_MAX = 5
_RETRY_HINT = "both stores are down; try again in a few seconds"
_KEYS_REMEMBERED_MAX = 10_000
_NEVER = datetime.min.replace(tzinfo=UTC)


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
        self._settings, self._clock, self._on_change = settings, clock, on_change
        self._folder = journal.folder / STORE_FOLDER
        self._recorder = Recorder(journal, self._folder, clock=clock)
        self._mirroring = Mirroring(backup, is_on=lambda: not self._backup_down, on_error=self._backup_failed)
        self._primary_window = FailureWindow.of(settings, clock=clock)
        self._backup_window = FailureWindow.of(settings, clock=clock)
        self._instance = uuid4().hex
        self._primary_down = self._backup_down = self._recovering = False
        self._since, self._reason = clock(), "started"
        self._last_word = _NEVER  # when the instances last agreed on a change; a later note is believed
        self._looks_well_since: datetime | None = None
        self._well_told = False
        self._backup_well_since: datetime | None = None
        self._undrained = False
        self._recorded = self._recording = 0  # records asked for, and not yet durable
        self._on_backup = 0  # calls that are being served by the backup, and may still journal
        self._problem = ""
        self._history: deque[Change] = deque(maxlen=HISTORY_MAX)
        self._keys_copied: set[str] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    # ---- life

    async def start(self) -> None:
        """Take up where the last process stopped, ask both stores, and begin to watch them."""
        self._undrained = any(True for _ in closed_files(self._folder))
        if (note := load_note(self._folder)) is not None:
            self._primary_down = note.status in (Status.MYSQL_FATAL, Status.BOTH_FATAL)
            self._recovering = note.status is Status.RECOVERING
            self._since, self._reason, self._last_word = note.since, note.reason, note.since
        await self._follow_note()
        if not self._primary_down:
            await self._ask_at_start()
        self._mirroring.start()
        self._task = asyncio.create_task(self._watch(), name="failover")

    async def close(self) -> None:
        """Stop watching, write what waits, and let go of both stores. What is journaled stays for the next start."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._mirroring.close()
        await asyncio.to_thread(self._recorder.close)
        await self._primary.close()
        await self._backup.close()

    # ---- the state object

    @property
    def status(self) -> Status:
        """The status now, as this instance sees it."""
        if self._primary_down:
            return Status.BOTH_FATAL if self._backup_down else Status.MYSQL_FATAL
        if self._recovering:
            return Status.RECOVERING
        return Status.REDIS_FATAL if self._backup_down else Status.HEALTHY

    async def acquire_status(self) -> Status:
        """The status, after hearing what the other instances say."""
        await self._follow_note()
        return self.status

    async def set_mysql_fatal(self, reason: str) -> None:
        """From now on the backup serves, and every write is journaled."""
        self._set_mysql_fatal(reason)
        await self._tell()

    async def set_redis_fatal(self, reason: str) -> None:
        """From now on nothing is mirrored."""
        self._move(reason, backup_down=True)
        self._backup_well_since = None
        await self._tell()

    async def run_master(self, call: Callable[[Store], Awaitable[Answer]]) -> Answer:
        """`call` on the primary store; its failure is counted and raised."""
        try:
            return await call(self._primary)
        except Unavailable as error:
            self._primary_failed(error)
            raise

    async def run_backup(self, call: Callable[[Backup], Awaitable[Answer]]) -> Answer:
        """`call` on the backup; its failure is counted, and raised as the failure of both."""
        if self._backup_down:
            raise self._neither()
        try:
            return await call(self._backup)
        except Unavailable as error:
            self._backup_failed(error)
            raise self._neither() from error

    async def record_sql(self, facts: Sequence[AnyFact]) -> None:
        """Make the SQL of `facts` durable. Raises `StoreUnavailable` when the disk does not confirm."""
        if not facts:
            return
        self._undrained = True
        self._recorded += 1
        self._recording += 1
        try:
            await self._recorder.record(facts)
        except JournalWriteFailed as failed:
            _log.error("journal_write_failed", problem=str(failed), hint=failed.hint)
            raise StoreFault("neither store nor journal took it", fault=FaultClass.FATAL, hint=failed.hint) from failed
        finally:
            self._recording -= 1

    async def recover(self) -> None:
        """Go back to the primary store; journals are replayed meanwhile. Raises `StoreUnavailable` while it is not well."""
        if not self._primary_down:
            return
        await self._primary.probe()
        self._recover("an operator said so")
        await self._tell()

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
            since=self._since,
            reason=self._reason,
            backlog_bytes=backlog_bytes(self._folder),
            looks_well_since=self._looks_well_since,
            problem=self._problem,
            copies_dropped=self._mirroring.dropped,
            history=tuple(self._history),
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
        if key is not None and key_hash not in self._keys_copied and not self._primary_down:
            # Keys are made beside the service, so nobody else brings them to the backup.
            if len(self._keys_copied) >= _KEYS_REMEMBERED_MAX:
                self._keys_copied.clear()
            self._keys_copied.add(key_hash)
            self._mirroring.soon([key])
        return key

    async def probe(self) -> None:
        """Passes while one of the stores takes writes."""
        await self._serve(
            lambda: self.run_master(lambda store: store.probe()), lambda: self.run_backup(lambda store: store.probe())
        )

    # ---- choosing

    @property
    def _is_merging(self) -> bool:
        """Some facts are in the backup and the journal only."""
        return (self._recovering or self._undrained) and not self._backup_down

    async def _serve(
        self,
        on_primary: Callable[[], Awaitable[Answer]],
        on_backup: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        if not self._primary_down:
            try:
                return await on_primary()
            except Unavailable:
                if self._backup_down:
                    raise
        self._on_backup += 1
        try:
            return await on_backup()
        finally:
            self._on_backup -= 1

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

    # ---- changing

    def _primary_failed(self, error: Unavailable) -> None:
        is_first = not self._primary_window.is_suspicious
        self._primary_window.add(error)
        if not self._primary_down and self._primary_window.is_full:
            self._set_mysql_fatal(str(error))
        elif is_first:
            self._wake.set()  # ask again now; after that at the pace of the probes, or a blip would fill the window

    def _backup_failed(self, error: Unavailable) -> None:
        self._backup_window.add(error)
        if not self._backup_down and self._backup_window.is_full:
            self._backup_well_since = None
            self._move(str(error), backup_down=True)

    def _set_mysql_fatal(self, reason: str) -> None:
        self._looks_well_since, self._well_told = None, False
        self._move(reason, primary_down=True, recovering=False)

    def _recover(self, reason: str) -> None:
        self._primary_window.clear()
        self._looks_well_since = None
        self._move(reason, primary_down=False, recovering=True)
        self._wake.set()

    def _move(
        self,
        reason: str,
        *,
        primary_down: bool | None = None,
        backup_down: bool | None = None,
        recovering: bool | None = None,
        since: datetime | None = None,
    ) -> None:
        old = self.status
        self._primary_down = self._primary_down if primary_down is None else primary_down
        self._backup_down = self._backup_down if backup_down is None else backup_down
        self._recovering = self._recovering if recovering is None else recovering
        new = self.status
        if new is old:
            return
        # Later than the last word even when the clock stepped back: instances believe the later note.
        self._since = since or max(self._clock(), self._last_word + timedelta(microseconds=1))
        self._last_word = self._since
        self._reason = reason
        self._history.append(Change(at=self._since, old=old, new=new, reason=reason))
        try:
            keep_note(self._folder, self._note())  # synced on the event loop: a change is rare, and must not be lost
        except OSError as error:
            _log.error("status_not_kept", problem=error.strerror)
        _log.warning("store_status", old=str(old), new=str(new), reason=reason)
        self._on_change(old, new, reason)
        self._wake.set()

    # ---- telling the other instances

    def _note(self) -> Note:
        return Note(
            status=self.status, since=self._since, reason=self._reason, by=self._instance, renewed_at=self._clock()
        )

    async def _tell(self) -> None:
        """Tell the others that the primary store is down, or being gone back to; a broken backup is each one's own matter."""
        if self.status not in (Status.MYSQL_FATAL, Status.RECOVERING):
            return
        with suppress(Unavailable):
            await self._backup.set_note(encode_note(self._note()))

    async def _follow_note(self) -> None:
        """Do as the others do, when theirs is the later word."""
        if self._backup_down:
            return
        try:
            note = decode_note(await self._backup.note())
        except Unavailable as error:
            self._backup_failed(error)
            return
        if note is None or note.by == self._instance or note.since <= self._last_word or self._is_stale(note):
            return
        if note.status is Status.MYSQL_FATAL and not self._primary_down:
            self._looks_well_since, self._well_told = None, False
            self._move(f"another instance: {note.reason}", primary_down=True, recovering=False, since=note.since)
        elif note.status is Status.RECOVERING and not self._recovering:
            self._primary_window.clear()
            self._move(f"another instance: {note.reason}", primary_down=False, recovering=True, since=note.since)

    def _is_stale(self, note: Note) -> bool:
        """Nobody replays any more."""
        age = self._clock() - note.renewed_at
        return note.status is Status.RECOVERING and age > timedelta(seconds=self._patience_seconds)

    @property
    def _patience_seconds(self) -> float:
        return self._settings.probe_seconds * _RENEWALS_MISSED_MAX

    async def _others_are_drained(self) -> bool:
        if (self._clock() - self._since).total_seconds() < 2 * self._settings.probe_seconds:
            return False  # they may not have heard yet that there is something to replay
        with suppress(Unavailable):
            note = decode_note(await self._backup.note())
            return note is None or note.by == self._instance or self._is_stale(note)
        return True  # their facts cannot be asked for either

    # ---- watching

    async def _ask_at_start(self) -> None:
        try:
            await self._primary.probe()
        except Unavailable as error:
            await self.set_mysql_fatal(f"at start: {error}")

    async def _watch(self) -> None:
        while not self._closing:  # not by cancellation alone: the Redis client's wait_for can swallow it (Python 3.11)
            self._wake.clear()
            try:
                await self._look()
            except HeliographError as error:
                _log.warning("failover_watch", problem=str(error), hint=error.hint)
            except Exception:  # noqa: BLE001  # whatever it is, somebody has to go on watching
                _log.exception("failover_watch")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.probe_seconds):
                    await self._wake.wait()
                await asyncio.sleep(min(0.05, self._settings.probe_seconds))  # a storm of failures wakes once

    async def _look(self) -> None:
        await self._look_at_backup()
        told = self._since
        await self._follow_note()
        if self._primary_down:
            await self._look_at_failed_primary()
        elif self._primary_window.is_suspicious:
            await self.run_master(lambda store: store.probe())
        if not self._primary_down and (self._recovering or self._undrained):
            await self._drain()
        if self._since != told or self._undrained or self._primary_down:
            await self._tell()

    async def _look_at_backup(self) -> None:
        if not self._backup_down:
            return
        if not await _passes(self._backup.probe()):
            self._backup_well_since = None
            return
        now = self._clock()
        self._backup_well_since = self._backup_well_since or now
        # Nothing has to be replayed into it; but up a second and down a second must not look like forty changes.
        if self._primary_down or (now - self._backup_well_since).total_seconds() >= self._settings.window_seconds:
            self._backup_window.clear()
            self._move("the backup takes writes again", backup_down=False)

    async def _look_at_failed_primary(self) -> None:
        if not await _passes(self._primary.probe()):
            self._looks_well_since = None
            return
        if self._backup_down:
            self._recover("it takes writes again, and the backup does not")
            return
        now = self._clock()
        self._looks_well_since = self._looks_well_since or now
        if (now - self._looks_well_since).total_seconds() < self._settings.window_seconds:
            return  # up a second and down a second is not well
        if self._settings.automatic_recovery:
            self._recover("it has looked well for long enough")
        elif not self._well_told:
            self._well_told = True
            self._on_change(self.status, self.status, "the primary store looks well again: recover when you are sure")

    async def _drain(self) -> None:
        """Replay what was journaled; done when nothing was added meanwhile and no call is on its way to the journal."""
        seen = self._recorded
        busy = self._recording > 0
        await asyncio.to_thread(self._recorder.rotate)
        done = await self.run_master(lambda store: replay(self._folder, store))
        self._problem = "; ".join(done.damaged)
        if done.records:
            _log.info("journal_replayed", files=done.files, records=done.records, rejected=done.rejected)
        if done.damaged or busy or self._on_backup or self._recorded != seen:
            return
        self._undrained = False
        if self._recovering and await self._others_are_drained():
            self._move("everything journaled was replayed", recovering=False)


async def _both(one: Coroutine[Any, Any, Answer], other: Coroutine[Any, Any, None]) -> tuple[Answer, None]:
    """Run both to their ends, and raise the first failure only then: a write half done would be journaled behind our back."""
    told, done = await asyncio.gather(one, other, return_exceptions=True)
    for result in (told, done):
        if isinstance(result, BaseException):
            raise result
    return cast("Answer", told), None


async def _passes(probe: Awaitable[None]) -> bool:
    try:
        await probe
    except HeliographError:
        return False
    return True
