"""From the queue: take what has gathered, insert it, acknowledge it. At least once, and the tables make it exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from core.errors import QueueUnavailable, Unavailable
from core.events import decode_lines
from core.hooks import Step, no_step
from core.queue import EVENTS, INGEST_CONSUMER, Message, Queue
from core.settings import Ingest as IngestSettings
from ingest.sink import Sink, Stored, Unreadable

_log = structlog.get_logger(__name__)

CONSUMER = INGEST_CONSUMER
PAUSE_SECONDS_MAX = 10.0


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
        self.totals = Totals()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; a server that is away is waited for, with growing pauses, and reported once."""
        failures = 0
        while not stop.is_set():
            try:
                await self.step()
            except Unavailable as error:
                failures += 1
                if failures == 1:
                    _log.warning("ingest waits", reason=str(error), hint=error.hint)
                await self._sleep(min(0.25 * 2**failures, PAUSE_SECONDS_MAX))
            else:
                if failures:
                    _log.info("ingest goes on", failures=failures)
                failures = 0

    async def step(self) -> Stored:
        """One batch. Raises `Unavailable` with nothing acknowledged when a server does not answer."""
        messages = await self._queue.pull(
            EVENTS, CONSUMER, batch_max=self._settings.batch_max, wait_seconds=self._settings.wait_seconds
        )
        if not messages:
            return Stored(0, 0)
        try:
            stored = await asyncio.to_thread(self._store, messages)
        except Unavailable:
            await asyncio.gather(*(_give_back(message) for message in messages))
            raise
        self._step("ingest-ack")
        await asyncio.gather(*(_acknowledge(message) for message in messages))
        self.totals.messages += len(messages)
        self.totals.events += stored.events
        self.totals.dead_letters += stored.dead_letters
        return stored

    def _store(self, messages: Sequence[Message]) -> Stored:
        events, unreadable = [], []
        for message in messages:
            good, bad = decode_lines(message.body)
            events += good
            unreadable += [Unreadable(f"{message.sequence}:{line.index}", line.reason, line.raw) for line in bad]
        return self._sink.store(f"stream {EVENTS}", events, unreadable)


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
