"""From the queue: take what has gathered, insert it, acknowledge it. At least once, and the tables make it exactly once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from core.errors import QueueUnavailable, Unavailable, WarehouseRefused
from core.hooks import Step, no_step
from core.queue import EVENTS, INGEST_CONSUMER, Message, Queue
from core.settings.watching import Ingest as IngestSettings
from ingest.sieve import Sieve, Sifted
from ingest.sink import Sink, Stored, Unreadable

_log = structlog.get_logger(__name__)

CONSUMER = INGEST_CONSUMER
PAUSE_SECONDS_MAX = 10.0
LANES = 2
"""Batches in hand: while one is inserted the next is fetched and read."""


@dataclass
class Totals:
    """What this process has stored since it began, for telemetry."""

    messages: int = 0
    events: int = 0
    dead_letters: int = 0


class StreamIngester:
    """Reads EVENTS until told to stop. A crash between insert and acknowledgement brings the same rows again, no more."""

    def __init__(
        self,
        queue: Queue,
        sink: Sink,
        settings: IngestSettings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        step: Step = no_step,
    ) -> None:
        self._queue = queue
        self._sink = sink
        self._settings = settings
        self._sleep = sleep
        self._step = step
        self._sieves = [Sieve() for _ in range(LANES)]
        self._pulling = asyncio.Lock()  # a subscription takes one fetch at a time
        self._waiting: set[int] = set()
        self.totals = Totals()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; a server that is away or says no is waited for, with growing pauses, and reported once."""
        await asyncio.gather(*(self._lane(sieve, stop) for sieve in self._sieves))

    async def step(self, sieve: Sieve | None = None) -> Stored:
        """One batch. Raises `Unavailable` when a server does not answer and `WarehouseRefused`; then nothing is acknowledged."""
        async with self._pulling:
            messages = await self._queue.pull(
                EVENTS, CONSUMER, batch_max=self._settings.batch_max, wait_seconds=self._settings.wait_seconds
            )
        if not messages:
            return Stored(0, 0)
        try:
            stored = await asyncio.to_thread(self._store, messages, sieve or self._sieves[0])
        except (Unavailable, WarehouseRefused):
            await asyncio.gather(*(_give_back(message) for message in messages))
            raise
        self._step("ingest-ack")
        await asyncio.gather(*(_acknowledge(message) for message in messages))
        self.totals.messages += len(messages)
        self.totals.events += stored.events
        self.totals.dead_letters += stored.dead_letters
        return stored

    async def _lane(self, sieve: Sieve, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                await self.step(sieve)
            except (Unavailable, WarehouseRefused) as error:
                failures += 1
                if not self._waiting:
                    _log.warning("ingest waits", reason=str(error), hint=error.hint)
                self._waiting.add(id(sieve))
                await self._sleep(min(0.25 * 2 ** min(failures, 10), PAUSE_SECONDS_MAX))
            else:
                if failures:
                    self._waiting.discard(id(sieve))
                    if not self._waiting:
                        _log.info("ingest goes on", failures=failures)
                failures = 0

    def _store(self, messages: Sequence[Message], sieve: Sieve) -> Stored:
        sifted: Sifted = defaultdict(list)
        unreadable: list[Unreadable] = []
        for message in messages:
            bad = sieve.sift(message.body, sifted)
            unreadable += [Unreadable(f"{message.sequence}:{line.index}", line.reason, line.raw) for line in bad]
        return self._sink.store_lines(f"stream {EVENTS}", sifted, unreadable)


async def _give_back(message: Message) -> None:
    """Else it would come again only when nobody expects its acknowledgement any more, 30 s behind a server that is back."""
    with suppress(QueueUnavailable):
        await message.nak()


async def _acknowledge(message: Message) -> None:
    try:
        await message.ack()
    except QueueUnavailable as error:
        # The rows are stored; the message comes again and changes nothing.
        _log.warning("acknowledgement not confirmed", sequence=message.sequence, reason=str(error))
