"""What all simulated providers have in common: a real HTTP server that takes messages, and what becomes of them.

Fates are the world's word; how they look on the wire is the vendor's, one file each. It sends nothing to any real
network, and counts every submission by our reference.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import uuid4

import numpy as np

from core.clock import Clock, utc_now
from core.errors import InvalidNumber
from core.events import ErrorClass, ReceiptStatus
from core.numbers import read
from sandbox.providers.pusher import RETRY_SECONDS, OnPushed, Pusher
from sandbox.providers.vendor import Call, CallRefused, Order, Reply, Vendor
from sandbox.world import Fate, PlannedReceipt
from sandbox.world import template_of as template_of_text

Sabotage = Literal["timeout", "throttle", "error", "garbage", "wrong_id", "unknown_code"]
"""How one call can be spoilt on purpose. `timeout` and `wrong_id` come after accepting: the message is on its way."""


OnArrived = Callable[[str, str], None]
"""Told our reference and the text of every message that is about to be shown on its handset."""
BODY_BYTES_MAX = 64 * 1024
REFERENCES_MAX = 1_000_000

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class FateSource(Protocol):
    """Who decides what becomes of a message: `sandbox.world.World`, or a twin."""

    def fate(
        self,
        rng: np.random.Generator,
        *,
        provider: str,
        carrier: str,
        country: str,
        region: str,
        template: str,
        at: datetime,
    ) -> Fate:
        """What becomes of one message. Raises `KeyError` for a country nobody serves."""
        ...


class Handsets(Protocol):
    """Where messages arrive."""

    async def deliver(self, number: str, text: str) -> None:
        """Show `text` on the handset of `number`."""
        ...


class Simulator:
    """One provider as an ASGI application, and the tasks that push what it promised. End it with `close`."""

    def __init__(
        self,
        vendor: Vendor,
        *,
        kind: str,
        name: str,
        world: FateSource,
        rng: np.random.Generator,
        handsets: Handsets,
        callback_url: str,
        clock: Clock = utc_now,
        template_of: Callable[[str], str] = template_of_text,
        stop_share: float = 0.0,
        flush_seconds: float = 1.0,
        retry_seconds: Sequence[float] = RETRY_SECONDS,
        on_pushed: OnPushed = lambda _kind, _body, _status, _seconds: None,
        on_arrived: OnArrived = lambda _reference, _text: None,
    ) -> None:
        self.vendor = vendor
        self.kind = kind
        self.name = name
        self.stop_share = stop_share
        self._world = world
        self._rng = rng
        self._handsets = handsets
        self._clock = clock
        self._template_of = template_of
        self._on_arrived = on_arrived
        self._pusher = Pusher(
            vendor,
            callback_url=callback_url,
            name=name,
            flush_seconds=flush_seconds,
            retry_seconds=retry_seconds,
            on_pushed=on_pushed,
        )
        self._counts: Counter[str] = Counter()
        self._spoilt: deque[Sabotage] = deque()
        self._closing = asyncio.Event()

    def counts(self) -> dict[str, int]:
        """Submissions with good credentials by reference, whatever was answered; the newest million references."""
        return dict(self._counts)

    def sabotage(self, how: Sabotage, *, times: int = 1) -> None:
        """Spoil the next `times` calls that are otherwise good; for an error or a refusal the message goes nowhere."""
        self._spoilt.extend([how] * times)

    def calm(self) -> None:
        """Spoil no more calls."""
        self._spoilt.clear()

    async def reply(self, number: str, text: str) -> None:
        """The owner of `number` (E.164) sends `text` back. Raises `InvalidNumber`."""
        self._pusher.push("inbound", self.vendor.inbound(read(number), text))

    async def drain(self) -> None:
        """Wait until everything planned has been pushed, or given up."""
        await self._pusher.drain()

    async def close(self) -> None:
        """Give up what is still planned, hang up on who waits, and end every task."""
        self._closing.set()
        await self._pusher.close()

    # HTTP

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET" and scope["path"] == "/healthz":
            await _answer(send, Reply(200, b'{"status":"ok"}'))
            return
        try:
            order = self.vendor.order(await _call(scope, receive))
        except CallRefused as refused:
            await _answer(send, refused.reply)
            return
        await self._take(order, receive, send)

    async def _take(self, order: Order, receive: _Receive, send: _Send) -> None:
        self._count(order.reference)
        fate = self._fate(order)
        spoilt = self._spoilt.popleft() if self._spoilt else None
        if spoilt is not None:
            fate, reply = self._spoil(spoilt, order, fate)
        else:
            reply = self._reply(order, fate)
        if fate.answer in ("accepted", "timeout"):
            self._pusher.task(self._live(order, fate))
        if fate.answer == "timeout":
            await self._hang(fate.answer_seconds, receive)
            reply = Reply(504, b"", "text/plain")
        else:
            await self._think(fate.answer_seconds)
        with suppress(OSError):  # who asked may have hung up
            await _answer(send, reply)

    def _count(self, reference: str) -> None:
        self._counts[reference] += 1
        if len(self._counts) > REFERENCES_MAX:
            del self._counts[next(iter(self._counts))]

    def _fate(self, order: Order) -> Fate:
        try:
            number = read(order.number)
            return self._world.fate(
                self._rng,
                provider=self.kind,
                carrier=number.carrier,
                country=number.country,
                region=number.region,
                template=self._template_of(order.text),
                at=self._clock(),
            )
        except InvalidNumber:
            return Fate("rejected", "number", 0.0, (), None)
        except KeyError:  # a country the world does not have: the sandbox reaches nobody there
            return Fate("rejected", "account", 0.0, (), None)

    def _reply(self, order: Order, fate: Fate) -> Reply:
        if fate.answer == "rejected":
            return self.vendor.no(order, self.vendor.refusal_code(fate.error_class))
        if fate.answer == "error":
            return Reply(503, b"upstream unavailable", "text/plain")
        return self.vendor.yes(order)

    def _spoil(self, how: Sabotage, order: Order, fate: Fate) -> tuple[Fate, Reply]:
        accepted = replace(fate, answer="accepted", error_class="")
        nowhere = replace(fate, answer="error", receipts=(), arrives_seconds=None)
        other = replace(order, reference=uuid4().hex + "-1")
        match how:
            case "timeout":
                return replace(accepted, answer="timeout", answer_seconds=60.0), Reply(504, b"")
            case "throttle":
                return nowhere, Reply(429, b"slow down", "text/plain")
            case "error":
                return nowhere, Reply(500, b"internal error", "text/plain")
            case "garbage":
                return nowhere, Reply(200, b"<html>\xff maintenance", "text/html")
            case "unknown_code":
                return nowhere, self.vendor.no(order, self.vendor.refusal_code("unknown"))
            case "wrong_id":
                return accepted, self.vendor.yes(other)

    async def _think(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    async def _hang(self, seconds: float, receive: _Receive) -> None:
        waits = {asyncio.ensure_future(receive()), asyncio.ensure_future(self._closing.wait())}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    # the life of a message

    async def _live(self, order: Order, fate: Fate) -> None:
        """Walk through what happens to a message, in time order."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        steps: list[tuple[float, PlannedReceipt | None]] = [(plan.after_seconds, plan) for plan in fate.receipts]
        if fate.arrives_seconds is not None:
            steps.append((fate.arrives_seconds, None))
        told: dict[tuple[ReceiptStatus, ErrorClass], bytes] = {}
        for after_seconds, plan in sorted(steps, key=lambda step: step[0]):
            await asyncio.sleep(max(0.0, begun + after_seconds - loop.time()))
            if plan is None:
                await self._arrive(order)
                continue
            key = (plan.status, plan.error_class)
            if key not in told:
                told[key] = self.vendor.receipt(order, plan, self._clock())
            self._pusher.push("receipts", told[key], at_once=after_seconds <= fate.answer_seconds)

    async def _arrive(self, order: Order) -> None:
        self._on_arrived(order.reference, order.text)
        await self._handsets.deliver(order.number, order.text)
        if self.stop_share and self._rng.random() < self.stop_share:
            await self.reply(order.number, "STOP")


async def _call(scope: _Message, receive: _Receive) -> Call:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            raise CallRefused(Reply(413, b"too large", "text/plain"))
        if not message.get("more_body", False):
            break
    if scope["method"] != "POST":
        raise CallRefused(Reply(405, b"only POST", "text/plain"))
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Call(scope["path"], headers, body)


async def _answer(send: _Send, reply: Reply) -> None:
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
