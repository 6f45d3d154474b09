"""The number of this instance among those whose codes other instances can check by number while no store can be asked.

It is claimed in the primary store for the present period and the next, kept on disk, and used in its period alone, so that no
two instances ever have the same. Whoever finds all taken has none: his codes are checked by id, or where they were sent.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec

from core.clock import Clock
from service.facts import OWN_APP, IdempotencyClaim
from service.failover.presumption import MAKERS
from service.stores import Claim

FILE = "maker.json"
PERIOD_SECONDS = 4 * 3600
"""An instance whose disk is new at each start takes another number; so long a lost one is not given again."""

_PAUSE = timedelta(minutes=1)


class _Kept(msgspec.Struct):
    identity: UUID
    numbers: dict[str, int]


class Maker:
    """`renew` while the primary store serves; ask for the `number` at any time."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._kept = _Kept(uuid4(), {})
        self._again_at = datetime.min.replace(tzinfo=UTC)

    def load(self) -> None:
        """What the process before this one had."""
        with suppress(OSError, msgspec.MsgspecError, ValueError):
            self._kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)

    def number(self, at: datetime) -> int | None:
        """From 0 to `MAKERS` - 1, None when this instance has none in the period of `at`."""
        return self._kept.numbers.get(str(_period(at)))

    async def renew(self, claim: Callable[[IdempotencyClaim], Awaitable[Claim]]) -> None:
        """Claim a number for this period and the next where there is none. Raises `Unavailable`, `OSError`."""
        if self._clock() < self._again_at:
            return
        now = _period(self._clock())
        missing = [period for period in (now, now + 1) if str(period) not in self._kept.numbers]
        for period in missing:
            number = await self._claim(period, claim)
            if number is not None:
                await self._keep(period, number)
        self._again_at = self._clock() + _PAUSE

    async def _claim(self, period: int, claim: Callable[[IdempotencyClaim], Awaitable[Claim]]) -> int | None:
        last = max(self._kept.numbers.items(), default=("", 0))[1]
        for number in sorted(range(MAKERS), key=lambda one: one != last):
            wanted = IdempotencyClaim(
                app=OWN_APP,
                idempotency_key=f"maker {number} in {period}",
                at=self._clock(),
                fingerprint="",
                request_id=self._kept.identity,
            )
            if (await claim(wanted)).ours:
                return number
        return None

    async def _keep(self, period: int, number: int) -> None:
        """On disk first: a number that is forgotten would be claimed again, and used twice in one window."""
        recent = {key: value for key, value in self._kept.numbers.items() if int(key) >= period - 1}
        kept = _Kept(self._kept.identity, recent | {str(period): number})
        await asyncio.to_thread(self._write, kept)
        self._kept = kept

    def _write(self, kept: _Kept) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _period(at: datetime) -> int:
    return int(at.timestamp()) // PERIOD_SECONDS
