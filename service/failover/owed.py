"""Whose journals hold what the primary store does not have yet, told through the backup to all instances.

An instance registers its journal before it answers from the backup, and waits until every other one must have heard of it:
from then on they ask both stores, so that nothing is decided in two places. Each leaves word up to when it has heard, and
had told the backup what it knew, so that one whose primary store is merely late can see who is behind. What a killed process owes stays registered until it was
replayed, or an operator writes it off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from core.errors import Unavailable
from service.stores import Backup, Heard
from service.stores.faults import FaultClass, fault_of

FILE = "journal-id"
_FRESH_SHARE, _WAIT_SHARE = 0.25, 0.5
"""Of the time between two probes: for so long what was heard is good, and so long the others are given to hear it."""
_PACE_SECONDS_MAX = 1.0
"""The first call of an outage waits for it, however seldom stores are probed."""
_HEARS_PACES, _HEARS_SECONDS = 1.5, 0.5
"""Whoever has not heard for longer does not hear: an instance that has nothing to do looks once in a pace."""
_LAG_SECONDS_MAX = 0.5
"""Whoever has not told the backup for longer says no more that it hears: what was decided by it would lack too much."""
_PARTING_SECONDS = 1.5
"""What was begun on the backup while everybody heard has ended there after so long: its calls are limited."""


class Owed:
    """`hear` before a decision of the primary store, `owe` before an answer of the backup, `settle` when all is replayed.

    `is_on` says whether the backup is worth asking, `on_error` hears of its failures, `on_new` that another one owes;
    `lag_seconds` is how far it is behind what this instance knows. `order`
    is that of the last word on the primary store: what is journaled after another word is owed anew, for the others may
    look no longer for it.
    """

    def __init__(
        self,
        backup: Backup,
        folder: Path,
        *,
        is_on: Callable[[], bool],
        on_error: Callable[[Unavailable], None],
        on_new: Callable[[], None] = lambda: None,
        lag_seconds: Callable[[], float] = lambda: 0.0,
        order: Callable[[], int],
        probe_seconds: float,
        timer: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._backup = backup
        self._path = folder / FILE
        self._is_on, self._on_error, self._on_new = is_on, on_error, on_new
        pace_seconds = min(probe_seconds, _PACE_SECONDS_MAX)
        self._fresh_seconds, self._wait_seconds = _FRESH_SHARE * pace_seconds, _WAIT_SHARE * pace_seconds
        self._order, self._timer, self._sleep = order, timer, sleep
        self._lag_seconds = lag_seconds
        self._own = uuid4().hex
        self._hears_seconds = _HEARS_PACES * pace_seconds + _HEARS_SECONDS
        self._others: Mapping[str, int] = {}
        self._heard_at = self._answered_at = float("-inf")
        self._heard, self._said = Heard(at=0, owed={}, hearers={}), 0
        self._is_deaf = False
        self._hearing: asyncio.Task[None] | None = None
        self._owing: asyncio.Task[None] | None = None
        self._is_told = False  # and the others have heard
        self._told_order = self._told_at = 0  # the latter by the backup's clock
        self._may_be_registered = True  # by the process before this one
        self._lock = asyncio.Lock()

    def load(self) -> None:
        """Take the name that the journal has, or give it one."""
        try:
            self._own = self._path.read_text(encoding="ascii").strip() or self._own
        except (OSError, ValueError):
            with suppress(OSError):  # a disk that takes nothing will not take a journal either
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.write_text(self._own, encoding="ascii")

    @property
    def journal(self) -> str:
        """The name of this instance's journal; it outlives the process."""
        return self._own

    @property
    def others(self) -> Mapping[str, int]:
        """The other journals that are not drained, and after which word they were written, as far as was heard."""
        return self._others

    @property
    def is_fresh(self) -> bool:
        """What was heard is good for a decision."""
        return self._timer() - self._heard_at < self._fresh_seconds

    async def hear(self, *, anew: bool = False) -> None:
        """Learn who owes, unless that is fresh. Once the backup did not answer nobody waits for it, until `anew` finds it well.

        Raises `Unavailable` when this process was held up.
        """
        if not self._is_on() or (not anew and (self.is_fresh or self._is_deaf)):
            return
        if self._hearing is None or self._hearing.done():
            self._hearing = asyncio.create_task(self._hear(), name="owed")
        await asyncio.shield(self._hearing)

    async def owe(self) -> None:
        """This instance is about to journal. Returns when the others must know. Raises `Unavailable`."""
        if self._is_told and self._told_order == self._order():
            return
        if self._owing is None or self._owing.done():
            self._owing = asyncio.create_task(self._register(), name="owing")
        await asyncio.shield(self._owing)

    async def are_heard(self, *, unless: asyncio.Event) -> bool:
        """Whether every other instance has heard that this one owes, and keeps up. Whoever does, and has not heard yet, is waited
        for until `unless` is set. Raises `Unavailable` when this process was held up.
        """
        while not unless.is_set():
            await self.hear(anew=not self.is_fresh)
            if not self.is_fresh or self.deaf:
                return False
            if all(self._heard.hearers[name] >= self._told_at for name in self._listeners):
                return True
            await self._sleep(self._fresh_seconds)
        return True

    @property
    def deaf(self) -> list[str]:
        """The journals of the instances that do not keep up with the backup, and may not live, as far as was heard."""
        oldest = self._heard.at - 1_000_000 * self._hears_seconds
        return sorted(name for name in self._listeners if self._heard.hearers[name] < oldest)

    @property
    def _listeners(self) -> list[str]:
        return [name for name in self._heard.hearers if name != self._own]

    async def part(self) -> None:
        """Returns when nobody who owes counts on it any more that this instance hears him."""
        left = self._answered_at + self._hears_seconds + _PARTING_SECONDS - self._timer()
        if self._others and left > 0:
            await self._sleep(left)

    async def renew(self) -> int:
        """Say again that this instance owes, for the backup may have been started empty. Returns its time, in microseconds.
        Raises `Unavailable`.
        """
        self._may_be_registered = True
        return await self._backup.owe(self._own, self._told_order)

    async def settle(self, *, for_good: bool = False) -> None:
        """Everything that this instance journaled is in the primary store; `for_good` when it will journal no more.

        Raises `Unavailable`.
        """
        self._is_told = False  # whoever journals from now on registers anew
        if not self._may_be_registered:
            return
        async with self._lock:
            if for_good or not self._is_told:
                await self._backup.settle(self._own)
                self._may_be_registered = False

    async def write_off(self, journal: str) -> None:
        """Nobody waits for this journal any more. Raises `Unavailable`."""
        await self._backup.settle(journal)
        await self._backup.leave(journal)
        self._others = {name: order for name, order in self._others.items() if name != journal}

    async def leave(self) -> None:
        """This instance decides nothing any more. Raises `Unavailable`."""
        await self._backup.leave(self._own)

    async def close(self) -> None:
        """Let go of what is under way."""
        tasks = [task for task in (self._hearing, self._owing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self) -> None:
        asked_at, known, is_first = self._timer(), self._others.keys(), not self._heard.at
        try:
            await self._listen()
            is_new = not self._others.keys() <= known
            if is_new or is_first:
                await self._listen()  # whoever began to owe waits for word that this instance has heard
        except Unavailable as error:
            if fault_of(error) is FaultClass.HELD_UP:
                raise  # the others are heard by whoever listens
            self._is_deaf = True
            self._on_error(error)
            return
        if is_new:
            self._on_new()
        self._heard_at, self._is_deaf = asked_at, False

    async def _listen(self) -> None:
        if self._lag_seconds() < _LAG_SECONDS_MAX:
            self._said = self._heard.at
        heard = await self._backup.hear(self._own, until=self._said)
        lost = {journal: order for journal, order in self._others.items() if journal not in heard.owed}
        owing = lost | {journal: order for journal, order in heard.owed.items() if order is not None}
        self._others = {journal: order for journal, order in owing.items() if journal != self._own}
        self._heard, self._answered_at = heard, self._timer()
        for journal, order in lost.items():  # the backup was started empty: nobody has settled it
            await self._backup.owe(journal, order)

    async def _register(self) -> None:
        async with self._lock:
            order = self._order()
            if self._is_told and self._told_order == order:
                return
            self._is_told, self._told_order = False, order
            try:
                self._told_at = await self.renew()
            except Unavailable as error:
                self._on_error(error)
                raise
            await self._sleep(self._wait_seconds)
            self._is_told = True
