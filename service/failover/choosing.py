"""Which store a call is served by: the primary store while it is well, then the backup, then neither of them; and whether
what the primary store says is all there is.

The call that meets a fatal error is served by the next one at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from core.clock import Clock
from core.errors import MirrorUnavailable, StoreUnavailable
from core.ids import time_of
from core.settings.servers import Failover as FailoverSettings
from service.failover.backlog import Backlog
from service.failover.owed import Owed
from service.failover.state import State
from service.failover.status import Status
from service.failover.watch import HEARD_AFTER_PROBES
from service.stores import Backup, Primary, patience
from service.stores.faults import FaultClass, MirrorParted, StoreLate, fault_of

Answer = TypeVar("Answer")

_SKEW_SECONDS = 5.0
"""Another instance's clock may be ahead."""


class _Passed(Exception):
    """This store does not serve the call."""


class Choosing:
    """`serve` has a call done by the first store that does it; `run_master` and `run_backup` ask one of them alone."""

    def __init__(
        self,
        *,
        primary: Primary,
        backup: Backup,
        state: State,
        backlog: Backlog,
        owed: Owed,
        settings: FailoverSettings,
        clock: Clock,
    ) -> None:
        self._primary, self._backup = primary, backup
        self._state, self._backlog, self._owed = state, backlog, owed
        self._clock = clock
        self._tries = 2 * settings.fatal_errors  # a saturated server counts half
        self._skew = timedelta(seconds=_SKEW_SECONDS)
        self._all_heard = timedelta(seconds=HEARD_AFTER_PROBES * settings.probe_seconds) + self._skew

    async def run_master(self, call: Callable[[Primary], Awaitable[Answer]]) -> Answer:
        """`call` on the primary store; its failure is counted and raised."""
        with self._state.primary_counted():
            return await call(self._primary)

    async def run_backup(self, call: Callable[[Backup], Awaitable[Answer]]) -> Answer:
        """`call` on the backup; its failure is counted and raised."""
        with self._state.backup_counted():
            return await call(self._backup)

    async def run_elsewhere(self, call: Callable[[Backup], Awaitable[Answer]]) -> Answer:
        """`call` on the backup, which may know what the primary store does not: again until it answers or is called down, for
        others may decide by it. Raises `MirrorParted` then, `MirrorUnavailable`.
        """
        for tries_left in reversed(range(self._tries)):
            if self._state.backup_down:
                await self._owed.part()
                break
            try:
                return await self.run_backup(call)
            except MirrorUnavailable as error:
                if not self._state.backup_down and (not tries_left or fault_of(error) is FaultClass.HELD_UP):
                    raise
        raise MirrorParted

    @property
    def is_merging(self) -> bool:
        """Some facts are in the backup, in a journal and in the memory of an instance only."""
        return self._state.recovering or not self._backlog.is_empty or bool(self._owed.others)

    def may_lie_elsewhere(self, request_id: UUID) -> bool:
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
        return self._state.status in (Status.HEALTHY, Status.REDIS_FATAL) and not self.is_merging

    async def serve(
        self,
        on_primary: Callable[[], Awaitable[Answer]],
        on_backup: Callable[[], Awaitable[Answer]],
        on_neither: Callable[[], Awaitable[Answer]],
        *,
        again: Callable[[], Awaitable[Answer]] | None = None,
    ) -> Answer:
        """What the first of them answers whose store is worth asking and does not fail.

        Without a store nobody is served but by the status: while the primary store is not called down, others ask it, and
        what one call decides alone they would decide once more. `again` asks it for what it may have done already.

        Nor is anybody served by another store because this process was held up: the others listen to theirs; nor, while the
        primary store is not called down, by a backup that another instance does not hear.
        """
        asking_again = again or on_primary
        if not self._state.primary_down:
            if not self._owed.is_fresh:
                await self._owed.hear()
            try:
                with patience.uncounted() if self._state.backup_down else nullcontext():
                    return await on_primary()
            except StoreUnavailable as error:
                fault = fault_of(error)
                if self._state.backup_down and fault is FaultClass.TRANSIENT:
                    raise  # the store is there: what it counts must not be counted without it
                if fault is FaultClass.HELD_UP:
                    with suppress(_Passed):
                        return await self._insist(asking_again, tries=1)
        with self._backlog.call_on_backup():
            with suppress(_Passed):
                return await self._ask_backup(on_backup)
            if not self._state.primary_down:
                with suppress(_Passed):
                    return await self._insist(asking_again, tries=self._tries)
                with suppress(_Passed):
                    return await self._ask_backup(on_backup)
            return await on_neither()

    async def _ask_backup(self, on_backup: Callable[[], Awaitable[Answer]]) -> Answer:
        """What the backup answers. Raises `_Passed` when it is down or does not, `MirrorUnavailable` when nobody else is left
        to ask and it may well have answered."""
        if self._state.backup_down:
            raise _Passed
        try:
            await self._owed.owe()
            if not self._state.primary_down and not await self._owed.are_heard(unless=self._state.called_down):
                raise _Passed  # who does not hear decides by the primary store alone
            return await on_backup()
        except MirrorUnavailable as error:
            if self._state.primary_down and fault_of(error) is FaultClass.HELD_UP:
                raise
            raise _Passed from error

    async def _insist(self, on_primary: Callable[[], Awaitable[Answer]], *, tries: int) -> Answer:
        """Ask the primary store until it answers or is called down, for there is nobody else. A failure that counts fills
        the window within these tries; one that does not is raised.

        Raises `_Passed` as soon as it is called down, `StoreUnavailable`.
        """
        for tries_left in reversed(range(tries)):
            try:
                with patience.uncounted():
                    return await self._unless_down(on_primary)
            except StoreUnavailable as error:
                if self._state.primary_down:
                    break
                if not tries_left or isinstance(error, StoreLate) or fault_of(error) is FaultClass.TRANSIENT:
                    raise
        raise _Passed

    async def _unless_down(self, on_primary: Callable[[], Awaitable[Answer]]) -> Answer:
        """What the primary store answers, unless it is called down meanwhile: `_Passed`."""
        asking = asyncio.ensure_future(on_primary())
        called_down = asyncio.ensure_future(self._state.called_down.wait())
        try:
            await asyncio.wait({asking, called_down}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise _Passed
            return await asking
        finally:
            asking.cancel()
            called_down.cancel()
