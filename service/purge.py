"""Once an hour one instance lets go of old facts in the primary store, in small batches with pauses between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

import structlog

from core.clock import Clock
from core.errors import HeliographError
from service.facts import OWN_APP, IdempotencyClaim
from service.stores import Claim, Cutoffs

_log = structlog.get_logger(__name__)

BATCH_MAX = 500
_LOOK_SECONDS = 60.0
_PAUSE_SECONDS = 0.2  # a batch takes about 10 ms; the rest of the time is the callers'


class Purgeable(Protocol):
    """A store that can let go."""

    async def claim(self, claim: IdempotencyClaim) -> Claim:
        """Take a turn, or learn who has it."""
        ...

    async def purge(self, cutoffs: Cutoffs, *, batch_max: int) -> int:
        """Delete one batch; returns how many rows, 0 when nothing is old. Raises `Unavailable`."""
        ...


class Purge:
    """A task between `start` and `stop`."""

    def __init__(
        self,
        store: Purgeable,
        *,
        claims_kept: timedelta,
        facts_kept: timedelta,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._claims_kept, self._facts_kept = claims_kept, facts_kept
        self._clock, self._sleep = clock, sleep
        self._instance = uuid4()
        self._task: asyncio.Task[None] | None = None
        self._hour = -1

    def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="purge")

    async def stop(self) -> None:
        """Stop between two batches or in one: what it deleted is deleted, the rest is old tomorrow too."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def purge_if_due(self) -> int:
        """Delete what is old, when this hour's turn is ours; returns how many rows. Raises `Unavailable`."""
        now = self._clock()
        hour = int(now.timestamp()) // 3600
        if hour == self._hour or not await self._is_our_turn(hour, now):
            self._hour = hour
            return 0
        cutoffs = Cutoffs(now=now, claims=now - self._claims_kept, facts=now - self._facts_kept)
        deleted = 0
        while count := await self._store.purge(cutoffs, batch_max=BATCH_MAX):
            deleted += count
            await self._sleep(_PAUSE_SECONDS)
        self._hour = hour
        return deleted

    async def _is_our_turn(self, hour: int, now: datetime) -> bool:
        turn = IdempotencyClaim(
            app=OWN_APP, idempotency_key=f"purge {hour}", at=now, fingerprint="", request_id=self._instance
        )
        return (await self._store.claim(turn)).ours

    async def _run(self) -> None:
        while True:
            await self._sleep(_LOOK_SECONDS)
            try:
                if deleted := await self.purge_if_due():
                    _log.info("old facts deleted", rows=deleted)
            except HeliographError as error:
                _log.warning("old facts wait", reason=str(error))
            except Exception:  # noqa: BLE001  # whatever it is, tomorrow's facts grow old too
                _log.exception("old facts wait")
