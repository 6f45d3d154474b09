"""What the primary store does not have yet: journaled writes, and calls on the backup that may still journal one.

It is drained only when nothing was added meanwhile and nobody is on the way: an empty folder alone says nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import structlog

from core.clock import Clock
from core.errors import BadInput, JournalWriteFailed
from core.hooks import NO_HOOKS, Hooks
from core.journal import SUFFIX, backlog_bytes
from core.settings.servers import Journal as JournalSettings
from core.words import percent
from service.facts import AnyFact, Request
from service.failover.journaling import Recorder
from service.failover.replay import OnRenumbered, replay
from service.stores import Primary
from service.stores.faults import FaultClass, StoreFault

_log = structlog.get_logger(__name__)

_NEARLY_FULL = 0.8
_HELD_MAX = 200_000
"""Requests that are told apart; 30 MB when full. With more in the journal any may be there."""
_UNTAKEN_MAX = 20_000
"""Of what no disk takes; what comes after is lost, and was told of as every one is."""


class Backlog:
    """The journal of one instance, and who is about to write into it. `problem` says what keeps it from being drained."""

    def __init__(
        self,
        settings: JournalSettings,
        folder: Path,
        *,
        clock: Clock,
        hooks: Hooks = NO_HOOKS,
        on_renumbered: OnRenumbered = lambda _request_id: None,
    ) -> None:
        self._folder = folder
        self._on_renumbered = on_renumbered
        self._hooks = hooks
        self._recorder = Recorder(settings, folder, clock=clock, hooks=hooks)
        self._recorded = self._recording = 0  # writes asked for, and not yet durable
        self._on_backup = 0
        self._room_bytes = settings.total_bytes_max
        self._failed = ""
        self._held: set[UUID] | None = set()  # None: some that nobody counted
        self._untaken: list[AnyFact] = []
        self.is_empty = True
        self.problem = ""

    def look(self) -> None:
        """See what the process before this one left."""
        self.is_empty = not self._has_files
        self._held = set() if self.is_empty else None

    def may_hold(self, request_id: UUID) -> bool:
        """Whether something of this request was journaled since it was last drained."""
        return self._held is None or request_id in self._held

    @property
    def is_quiet(self) -> bool:
        """Nothing is journaled, and nobody is on the way to it."""
        return self.is_empty and not self._on_backup and not self._recording

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return backlog_bytes(self._folder)

    @property
    def _has_files(self) -> bool:
        return any(True for _ in self._folder.glob(f"*{SUFFIX}"))

    @contextmanager
    def call_on_backup(self) -> Iterator[None]:
        """While the block runs a call is served by the backup, and may still journal."""
        self._on_backup += 1
        try:
            yield
        finally:
            self._on_backup -= 1

    async def record(self, facts: Sequence[AnyFact]) -> None:
        """Make the SQL of `facts` durable. Raises `StoreFault` when the disk does not confirm."""
        if not facts:
            return
        self.is_empty = False
        self._hold(facts)
        self._recorded += 1
        self._recording += 1
        try:
            await self._recorder.record(facts)
            self._failed = ""
        except JournalWriteFailed as failed:
            self._failed = str(failed)
            _log.error("journal_write_failed", problem=str(failed), hint=failed.hint)
            raise StoreFault("neither store nor journal took it", fault=FaultClass.FATAL, hint=failed.hint) from failed
        finally:
            self._recording -= 1

    def remember(self, facts: Sequence[AnyFact]) -> None:
        """Facts of what has happened, which neither store nor disk takes now: recorded once a disk does, or written by the next
        `drain`; lost with this process."""
        self._untaken += facts[: _UNTAKEN_MAX - len(self._untaken)]
        self.is_empty = self.is_empty and not self._untaken

    async def catch_up(self) -> None:
        """Record what no disk took before. Raises `StoreFault`."""
        untaken, self._untaken = self._untaken, []
        try:
            await self.record(untaken)
        except BaseException:
            self.remember(untaken)
            raise

    def _hold(self, facts: Sequence[AnyFact]) -> None:
        if self._held is None:
            return
        for fact in facts:
            request_id = fact.id if isinstance(fact, Request) else getattr(fact, "request_id", None)
            if request_id is not None:
                self._held.add(request_id)
        if len(self._held) > _HELD_MAX:
            self._held = None

    def trouble(self) -> str:
        """What is wrong with the journal, in words; empty when nothing is."""
        if self._failed:
            return self._failed
        if self.is_empty:
            return ""
        share = self.size_bytes / self._room_bytes
        return f"the journal is at {percent(share)} of journal.total_bytes_max" if share >= _NEARLY_FULL else ""

    async def probe(self) -> None:
        """Make something durable where the journal lies. Raises `StoreFault`."""
        try:
            await asyncio.to_thread(self._leave_mark)
            self._failed = ""
        except OSError as error:
            hint = f"make room on, or repair, the disk that holds {self._folder}"
            raise StoreFault("the journal takes no writes", fault=FaultClass.FATAL, hint=hint) from error

    def _leave_mark(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "probe"
        with path.open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()

    async def drain(self, store: Primary) -> bool:
        """Replay what was journaled into `store`; True when that was all. Raises `Unavailable`."""
        seen = self._recorded
        busy = self._recording > 0
        await asyncio.to_thread(self._recorder.rotate)
        await self._write_untaken(store)
        done = await replay(self._folder, store, step=self._hooks.step, on_renumbered=self._on_renumbered)
        self.problem = "; ".join(done.damaged)
        if done.records:
            _log.info("journal_replayed", files=done.files, records=done.records, rejected=done.rejected)
        # A file that another process replays is not in the store yet, and that process may die.
        if self._has_files or busy or self._on_backup or self._recorded != seen or self._untaken:
            return False
        self.is_empty, self._held = True, set()
        return True

    async def _write_untaken(self, store: Primary) -> None:
        """One by one, for what is refused costs its neighbours nothing."""
        while self._untaken:
            try:
                await store.write(self._untaken[:1])
            except BadInput as error:
                _log.error("outcome_refused", problem=str(error))
            del self._untaken[:1]

    def close(self) -> None:
        """Write what waits, and close the file. Blocks meanwhile."""
        self._recorder.close()
