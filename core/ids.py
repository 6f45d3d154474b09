"""Identifiers made in the process: UUIDv7 for requests, digests for events. No server is asked."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from secrets import randbits
from uuid import UUID

from core.clock import Clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RequestIds:
    """Makes UUIDv7s that never run backwards within a process, even when its clock does.

    A 12-bit counter follows the millisecond (RFC 9562, section 6.2, method 1). Libraries draw those bits at random
    when they are given the time, so that two ids of one millisecond have no order.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0  # milliseconds << 12 | counter
        self._lock = threading.Lock()

    def __call__(self) -> UUID:
        with self._lock:
            self._last = max(self._last + 1, _milliseconds(self._clock()) << 12)
            stamp = self._last
        return _uuid7(stamp >> 12, stamp & 0xFFF, randbits(62))


def time_of(request_id: UUID) -> datetime:
    """When a UUIDv7 was made, to the millisecond, in UTC."""
    return _EPOCH + timedelta(milliseconds=request_id.int >> 80)


def uuid7_from(at: datetime, key: str) -> UUID:
    """The UUIDv7 of something another system sent at `at` and calls `key`: the same input gives the same id."""
    digest = int.from_bytes(blake2b(key.encode(), digest_size=10).digest())
    return _uuid7(_milliseconds(at), digest >> 68, digest & ((1 << 62) - 1))


def event_id(*key: str | int) -> str:
    """The id of an event, from the natural key of the fact it tells: 32 hex digits, the same wherever it is made."""
    return blake2b("\x1f".join(map(str, key)).encode(), digest_size=16).hexdigest()


def _uuid7(milliseconds: int, rand_a: int, rand_b: int) -> UUID:
    return UUID(int=(milliseconds & ((1 << 48) - 1)) << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b)


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
