"""Ten times the load for a minute: who is answered, who is sent away and how soon, what memory does, and whether it is over at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import click
import uvloop

from benchmarks.service.ground import Calls, Ground, Side
from benchmarks.service.load import Tally, load

TIMES = 10
CALLERS = 64
_CONNECTIONS = 1_500
"""More than the service takes in hand, so that it has to refuse; a call that finds none free is not made, and counted."""
_TICK_SECONDS = 0.005
_AFTERMATH_SECONDS = 2.0


@dataclass
class Flood:
    """What became of calls that came whether or not the earlier ones were answered. Latencies are in seconds."""

    seconds: float
    offered: int = 0
    unmade: int = 0
    answered: list[float] = field(default_factory=list)
    shed: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    others: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    is_over: bool = False
    peak_bytes: int = 0

    def note(self, head: bytes, latency: float) -> None:
        """An answer came."""
        status = int(head[9:12])
        if status < 300:
            self.answered.append(latency)
        elif status in (429, 503):
            self.shed.append(latency)
            self.without_retry_after += b"retry-after:" not in head.lower()
        else:
            self.others[status] += 1


class _Connection(asyncio.Protocol):
    def __init__(self, flood: Flood, free: deque[_Connection]) -> None:
        self._flood = flood
        self._free = free
        self._buffer = b""
        self._begun = 0.0
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._free.append(self)

    def call(self, call: bytes) -> None:
        self._begun = time.perf_counter()
        self._transport.write(call)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        lowered = head.lower()
        start = lowered.find(b"content-length:") + len(b"content-length:")
        if not found or len(body) < int(lowered[start:].split(b"\r\n", 1)[0]):
            return
        self._buffer = b""
        self._flood.note(head, time.perf_counter() - self._begun)
        self._free.append(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._flood.broken += not self._flood.is_over

    def close(self) -> None:
        self._transport.close()


async def flood(side: Side, calls: deque[bytes], *, rate: float, seconds: float) -> Flood:
    """`rate` calls a second, on as many connections as are free."""
    told = Flood(seconds)
    free: deque[_Connection] = deque()
    loop = asyncio.get_running_loop()
    for number in range(_CONNECTIONS):
        await loop.create_connection(lambda: _Connection(told, free), "127.0.0.1", side.ports[number % len(side.ports)])
    everybody = list(free)
    begun, look = time.perf_counter(), 0.0
    while (elapsed := time.perf_counter() - begun) < seconds:
        while told.offered < rate * elapsed:
            told.offered += 1
            if free and calls:
                free.popleft().call(calls.popleft())
            else:
                told.unmade += 1
        if elapsed >= look:
            told.peak_bytes, look = max(told.peak_bytes, memory_bytes(side)), elapsed + 0.5
        await asyncio.sleep(_TICK_SECONDS)
    await asyncio.sleep(_AFTERMATH_SECONDS)  # for what is still in hand; it counts as answered when it is
    told.is_over = True
    for connection in everybody:
        connection.close()
    return told


def memory_bytes(side: Side) -> int:
    """Resident memory of the processes of a side."""
    status = [Path(f"/proc/{child.pid}/status").read_text(encoding="ascii") for child in side.children]
    return sum(int(text.partition("VmRSS:")[2].split()[0]) * 1024 for text in status)


def overload(ground: Ground, *, seconds: float, flood_seconds: float, idempotent: bool) -> None:
    """Print what the service does under ten times the sends that it can do."""
    side = ground.side("service")
    calls = Calls(side, ground.numbers, idempotent=idempotent)
    steady = _steady(side, calls, seconds)
    before = memory_bytes(side)
    rate = steady.rate * TIMES
    click.echo(f"before:    {_words(steady)}, {before / 2**20:.0f} MiB resident")
    # A refused call did nothing: it may be made again as it is.
    prepared = calls.prepare_sends(int(steady.rate * flood_seconds * 1.5) + _CONNECTIONS)
    told = uvloop.run(flood(side, _Endless(prepared), rate=rate, seconds=flood_seconds))
    prepared.clear()
    _print_flood(told, rate)
    after = [_steady(side, calls, seconds) for _ in range(2)]
    for name, tally in zip(("at once", "then"), after, strict=True):
        click.echo(f"{name + ':':10} {_words(tally)}, {memory_bytes(side) / 2**20:.0f} MiB resident")


class _Endless(deque[bytes]):
    """Calls that come again at the end of the line: with its key a repeated call is answered again, not done again."""

    def popleft(self) -> bytes:
        call = super().popleft()
        self.append(call)
        return call


def _steady(side: Side, calls: Calls, seconds: float) -> Tally:
    prepared = calls.prepare_sends(int(4_000 * seconds * 1.25))
    return uvloop.run(load(side.ports, prepared, callers=CALLERS, warm_seconds=seconds / 4, seconds=seconds))


def _words(tally: Tally) -> str:
    return f"{tally.rate:,.0f} sends a second at p99 {tally.quantile_ms(0.99):.0f} ms with {CALLERS} callers"


def _print_flood(told: Flood, rate: float) -> None:
    seconds = told.seconds
    click.echo(
        f"overload:  {rate:,.0f} calls a second offered for {seconds:.0f} s on {_CONNECTIONS} connections; "
        f"{told.unmade / seconds:,.0f} a second found no connection free\n"
        f"           {len(told.answered) / seconds:,.0f} a second answered, p50 {_ms(told.answered, 0.5)}, p99 {_ms(told.answered, 0.99)}\n"
        f"           {len(told.shed) / seconds:,.0f} a second sent away (429, 503), p50 {_ms(told.shed, 0.5)}, p99 {_ms(told.shed, 0.99)}, "
        f"{told.without_retry_after} of them without Retry-After\n"
        f"           others: {dict(told.others) or 'none'}; connections broken: {told.broken}; "
        f"{told.peak_bytes / 2**20:.0f} MiB resident at the peak"
    )


def _ms(latencies: list[float], share: float) -> str:
    ordered = sorted(latencies)
    return f"{ordered[int((len(ordered) - 1) * share)] * 1000:,.0f} ms" if ordered else "none"
