"""The twin of JetStream in the process: same promises, nothing survives the process. It lets more than one consumer look."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from core.clock import Clock, utc_now
from core.errors import QueueUnavailable
from core.queue import DEDUPLICATION_SECONDS, STREAM_SUBJECTS, StreamState

ACK_WAIT_SECONDS = 30.0


@dataclass
class _Stored:
    subject: str
    body: bytes
    sequence: int


@dataclass
class _Consumer:
    deliveries: dict[int, int] = field(default_factory=dict)
    not_before: dict[int, datetime] = field(default_factory=dict)


class MemoryMessage:
    """A message of `MemoryQueue`."""

    def __init__(self, stored: _Stored, stream: dict[int, _Stored], consumer: _Consumer, clock: Clock) -> None:
        self.subject = stored.subject
        self.body = stored.body
        self.sequence = stored.sequence
        self.deliveries = consumer.deliveries[stored.sequence]
        self._stream = stream
        self._consumer = consumer
        self._clock = clock

    async def ack(self) -> None:
        self._stream.pop(self.sequence, None)

    async def nak(self, *, delay_seconds: float = 0.0) -> None:
        self._consumer.not_before[self.sequence] = self._clock() + timedelta(seconds=delay_seconds)


class MemoryQueue:
    """A queue in the process. `available = False` makes it refuse, as a server that is down would."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self.available = True
        self._clock = clock
        self._streams: dict[str, dict[int, _Stored]] = {name: {} for name in STREAM_SUBJECTS}
        self._published = dict.fromkeys(STREAM_SUBJECTS, 0)
        self._seen: dict[str, datetime] = {}
        self._consumers: dict[tuple[str, str], _Consumer] = {}
        self._arrived = asyncio.Event()

    async def publish(self, subject: str, body: bytes, *, message_id: str) -> None:
        self._require()
        now = self._clock()
        seen = self._seen.get(message_id)
        if seen is not None and now - seen < timedelta(seconds=DEDUPLICATION_SECONDS):
            return
        self._seen[message_id] = now
        stream = _stream_of(subject)
        self._published[stream] = sequence = self._published[stream] + 1
        self._streams[stream][sequence] = _Stored(subject, body, sequence)
        self._arrived.set()

    async def pull(self, stream: str, consumer: str, *, batch_max: int, wait_seconds: float) -> Sequence[MemoryMessage]:
        self._require()
        ready = self._ready(stream, consumer, batch_max)
        if not ready:
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), wait_seconds)
            except TimeoutError:
                return []
            ready = self._ready(stream, consumer, batch_max)
        return ready

    async def state(self, stream: str, consumer: str) -> StreamState:
        self._require()
        stored = self._streams[stream].values()
        return StreamState(len(stored), sum(len(item.body) for item in stored), len(stored))

    async def close(self) -> None:
        self._arrived.set()

    def _ready(self, stream: str, consumer: str, batch_max: int) -> list[MemoryMessage]:
        state = self._consumers.setdefault((stream, consumer), _Consumer())
        now = self._clock()
        taken = []
        for number, stored in self._streams[stream].items():
            if state.not_before.get(number, now) > now:
                continue
            state.deliveries[number] = state.deliveries.get(number, 0) + 1
            state.not_before[number] = now + timedelta(seconds=ACK_WAIT_SECONDS)
            taken.append(MemoryMessage(stored, self._streams[stream], state, self._clock))
            if len(taken) == batch_max:
                break
        return taken

    def _require(self) -> None:
        if not self.available:
            raise QueueUnavailable("the queue in memory was told to be down")


def _stream_of(subject: str) -> str:
    return next(name for name, pattern in STREAM_SUBJECTS.items() if fnmatchcase(subject, pattern.replace(">", "*")))
