"""The load: callers who each keep one connection and call again as soon as they are answered, in as little Python as it takes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

_STATUS = slice(len(b"HTTP/1.1 "), len(b"HTTP/1.1 200"))
_LENGTH = b"content-length:"


@dataclass
class Tally:
    """What was answered while it counted. Latencies are in seconds, of answers with a 2xx only; `cpu_ms` is the side's
    processor time a call."""

    seconds: float = 0.0
    cpu_ms: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Calls done a second; refused ones are none."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def quantile_ms(self, share: float) -> float:
        """Milliseconds within which this share of the calls was answered."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else float("nan")


def post(path: str, body: bytes, *, headers: Sequence[str] = ()) -> bytes:
    """One call as it goes over the wire."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: service",
        "Content-Type: application/json",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join((*lines, "", "")).encode() + body


async def load(
    ports: Sequence[int], calls: deque[bytes], *, callers: int, warm_seconds: float, seconds: float
) -> Tally:
    """Let `callers` work through `calls`, and count what is answered after `warm_seconds` for `seconds`."""
    loop = asyncio.get_running_loop()
    work = _Work(calls, begins=time.perf_counter() + warm_seconds, seconds=seconds)
    connections = [
        (await loop.create_connection(lambda: _Caller(work), "127.0.0.1", ports[number % len(ports)]))[1]
        for number in range(callers)
    ]
    await asyncio.gather(*(connection.ended for connection in connections))
    if work.ran_out:
        raise RuntimeError("there were too few calls for this machine; raise the number that is prepared")
    return work.tally


class _Work:
    """What the callers share."""

    def __init__(self, calls: deque[bytes], *, begins: float, seconds: float) -> None:
        self._calls = calls
        self._begins = begins
        self._ends = begins + seconds
        self.tally = Tally(seconds=seconds)
        self.ran_out = False

    def take(self) -> bytes | None:
        """The next call, None when it is enough."""
        if time.perf_counter() >= self._ends:
            return None
        if not self._calls:
            self.ran_out = True
            return None
        return self._calls.popleft()

    def note(self, status: int, begun: float) -> None:
        """An answer came."""
        now = time.perf_counter()
        if self._begins <= now < self._ends:
            self.tally.statuses[status] += 1
            if status < 300:
                self.tally.latencies.append(now - begun)


class _Caller(asyncio.Protocol):
    """One connection. The servers under test answer with a Content-Length and keep the connection."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._buffer = b""
        self._begun = 0.0
        self._transport: asyncio.WriteTransport
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._call()

    def data_received(self, data: bytes) -> None:
        self._buffer = data if not self._buffer else self._buffer + data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0 or len(self._buffer) < head + 4 + _length(self._buffer[:head]):
            return
        status = int(self._buffer[_STATUS])
        self._buffer = b""
        self._work.note(status, self._begun)
        self._call()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(ConnectionError("the service closed a connection in the middle of a call"))

    def _call(self) -> None:
        call = self._work.take()
        if call is None:
            self.ended.set_result(None)
            self._transport.close()
            return
        self._begun = time.perf_counter()
        self._transport.write(call)


def _length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.index(_LENGTH) + len(_LENGTH)
    end = lowered.find(b"\r\n", start)
    return int(lowered[start : end if end > 0 else None])
