"""Whether the service can serve: it can while some store takes what it is given; a queue that is down is only told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.errors import HeliographError
from service.stores import Store

PROBE_SECONDS = 1.0
PROBE_TIMEOUT_SECONDS = 3.0


class Health:
    """Probes the store at most once a second, however often it is asked: a probe writes."""

    def __init__(self, store: Store, *, queue_is_up: Callable[[], bool], timer: Callable[[], float]) -> None:
        self._store = store
        self._queue_is_up = queue_is_up
        self._timer = timer
        self._probing = asyncio.Lock()
        self._probed = float("-inf")
        self._store_word = ""

    async def look(self) -> tuple[bool, dict[str, str]]:
        """Whether calls can be served, and each part with "up" or what is the matter."""
        async with self._probing:
            if self._timer() - self._probed >= PROBE_SECONDS:
                self._store_word = await self._probe()
                self._probed = self._timer()
        queue = "up" if self._queue_is_up() else "down: events wait in the journal"
        return self._store_word == "up", {"store": self._store_word, "queue": queue}

    async def _probe(self) -> str:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                await self._store.probe()
        except HeliographError as error:
            return f"down: {error}"
        except TimeoutError:
            return f"down: no answer in {PROBE_TIMEOUT_SECONDS:g} s"
        return "up"
