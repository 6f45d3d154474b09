"""The queue: two streams with one consumer each, messages kept until it acknowledges them, duplicates dropped by message id.

`core.queue.jetstream` is the real one, `core.queue.memory` its twin in the process. A message may carry a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

EVENTS = "EVENTS"
"""Batches of events, JSON lines, on subjects `events.<kind>`."""
NUMBERS = "NUMBERS"
"""Sealed numbers on `numbers.sealed`, for the encryption worker."""
INGEST_CONSUMER = "ingest"
"""Under which name the ingester takes events."""
ENCRYPTOR_CONSUMER = "encryptor"
"""Under which name the encryption worker takes numbers."""

STREAM_SUBJECTS = {EVENTS: "events.>", NUMBERS: "numbers.>"}
NUMBERS_SUBJECT = "numbers.sealed"
DEDUPLICATION_SECONDS = 120.0


def events_subject(kind: str) -> str:
    """The subject for batches of one kind of event."""
    return f"events.{kind}"


@dataclass(frozen=True)
class StreamState:
    """How much lies in a stream and how many messages of it a consumer has not finished."""

    messages: int
    bytes: int
    pending: int


class Message(Protocol):
    """A message in hand. Unless it is acknowledged it comes again."""

    @property
    def subject(self) -> str: ...

    @property
    def body(self) -> bytes: ...

    @property
    def sequence(self) -> int:
        """Its place in the stream, from 1."""
        ...

    @property
    def deliveries(self) -> int:
        """How many times it was handed out, this one included."""
        ...

    async def ack(self) -> None:
        """Done: never again. Returns once the server has confirmed."""
        ...

    async def nak(self, *, delay_seconds: float = 0.0) -> None:
        """Not done: again, after the delay."""
        ...


class Queue(Protocol):
    """Every method raises `QueueUnavailable` when the server does not confirm in time."""

    async def publish(self, subject: str, body: bytes, *, message_id: str) -> None:
        """Hand in one message; when this returns the server has it. The same id within two minutes is dropped."""
        ...

    async def pull(self, stream: str, consumer: str, *, batch_max: int, wait_seconds: float) -> Sequence[Message]:
        """Up to `batch_max` messages for the durable `consumer`, fewer or none when `wait_seconds` pass."""
        ...

    async def state(self, stream: str, consumer: str) -> StreamState:
        """For telemetry: what lies there."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...
