"""Rows on their way to the customer: signed, in batches where the vendor does so, again and again until they are taken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal

import aiohttp
import structlog

from sandbox.providers.vendor import Vendor

_log = structlog.get_logger(__name__)

Kind = Literal["receipts", "inbound"]

OnPushed = Callable[[Kind, bytes, int, float], None]
"""Told of every body that was pushed, the HTTP status of the answer (0: none) and the seconds it took."""

ROWS_A_BATCH = 50
POSTS_AT_ONCE = 32
RETRY_SECONDS: tuple[float, ...] = (0.5, 1, 2, 4, 8, 15, 30, 60)


class Pusher:
    """Pushes rows to the customer, signed, in batches where the vendor does, again and again until they are taken."""

    def __init__(
        self,
        vendor: Vendor,
        *,
        callback_url: str,
        name: str,
        flush_seconds: float,
        retry_seconds: Sequence[float],
        on_pushed: OnPushed,
    ) -> None:
        self._vendor = vendor
        self._callback_url = callback_url.rstrip("/")
        self._name = name
        self._flush_seconds = flush_seconds
        self._retry_seconds = tuple(retry_seconds)
        self._on_pushed = on_pushed
        self._waiting: dict[Kind, list[bytes]] = {"receipts": [], "inbound": []}
        self._timers: dict[Kind, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(POSTS_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside; `close` cancels it."""
        if self._closed:
            work.close()
            return
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def push(self, kind: Kind, row: bytes, *, at_once: bool = False) -> None:
        """Push one row: now, or with the next batch."""
        if not self._vendor.batches or at_once:
            self.task(self._post(kind, self._vendor.body([row])))
            return
        self._waiting[kind].append(row)
        if len(self._waiting[kind]) >= ROWS_A_BATCH:
            self._flush(kind)
        elif kind not in self._timers:
            self._timers[kind] = asyncio.get_running_loop().call_later(self._flush_seconds, self._flush, kind)

    async def drain(self) -> None:
        """Wait until nothing is left to push."""
        while self._tasks or any(self._waiting.values()):
            for kind in self._waiting:
                self._flush(kind)
            if self._tasks:
                await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Drop what waits and cancel what runs."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _flush(self, kind: Kind) -> None:
        timer = self._timers.pop(kind, None)
        if timer is not None:
            timer.cancel()
        rows, self._waiting[kind] = self._waiting[kind], []
        if rows:
            self.task(self._post(kind, self._vendor.body(rows)))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a simulated provider's task failed", provider=self._name, error=type(error).__name__)

    async def _post(self, kind: Kind, body: bytes) -> None:
        for pause_seconds in (*self._retry_seconds, None):
            async with self._slots:
                taken = await self._posted(kind, body)
            if taken:
                return
            if pause_seconds is not None:
                await asyncio.sleep(pause_seconds)
        _log.warning("pushed body given up", provider=self._name, body=kind, tries=len(self._retry_seconds) + 1)

    async def _posted(self, kind: Kind, body: bytes) -> bool:
        path = f"/v1/{kind}/{self._name}"
        session = self._open()
        begun = time.monotonic()
        try:
            async with session.post(
                self._callback_url + path, data=body, headers=self._vendor.sign(path, body)
            ) as response:
                said = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            self._on_pushed(kind, body, 0, time.monotonic() - begun)
            return False
        self._on_pushed(kind, body, response.status, time.monotonic() - begun)
        wanted = self._vendor.acknowledgement
        return 200 <= response.status < 300 and (wanted is None or said == wanted)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=10),
                connector=aiohttp.TCPConnector(limit=POSTS_AT_ONCE, keepalive_timeout=4.0),
            )
        return self._session
