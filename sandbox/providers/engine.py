"""What all simulated providers have in common: a real HTTP server that takes messages, and pushes signed receipts.

What becomes of a message is the world's word; how it looks on the wire is the vendor's, one file each. It sends
nothing to any real network, and counts every submission by our reference.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from hmac import new as new_hmac
from typing import Any, ClassVar, Literal, Protocol
from uuid import uuid4

import aiohttp
import numpy as np
import structlog

from core.clock import Clock, utc_now
from core.errors import InvalidNumber
from core.events import ErrorClass, ReceiptStatus
from core.numbers import Number, read
from sandbox.world import Fate, PlannedReceipt
from sandbox.world import template_of as template_of_text

_log = structlog.get_logger(__name__)

Sabotage = Literal["timeout", "throttle", "error", "garbage", "wrong_id", "unknown_code"]
"""How one call can be spoilt on purpose. `timeout` and `wrong_id` come after accepting: the message is on its way."""

Kind = Literal["receipts", "inbound"]

OnPushed = Callable[[Kind, bytes, int, float], None]
"""Told of every body that was pushed, the HTTP status of the answer (0: none) and the seconds it took."""

BODY_BYTES_MAX = 64 * 1024
REFERENCES_MAX = 1_000_000
ROWS_A_BATCH = 50
POSTS_AT_ONCE = 32
RETRY_SECONDS: tuple[float, ...] = (0.5, 1, 2, 4, 8, 15, 30, 60)

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


@dataclass(frozen=True)
class Call:
    """One HTTP call to a provider; header names are lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Order:
    """One message that a customer asked for. `message_id` is the provider's own."""

    reference: str
    number: str = field(repr=False)
    text: str = field(repr=False)
    sender: str = ""
    message_id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Reply:
    """What is answered."""

    status: int
    body: bytes
    content_type: str = "application/json"


class CallRefused(Exception):
    """The call did not get as far as being an order; `reply` says so in the vendor's words."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"refused with status {reply.status}")
        self.reply = reply


class Vendor(ABC):
    """The server side of one vendor's format: how its calls, answers, receipts and signatures look."""

    batches: ClassVar[bool] = False
    acknowledgement: ClassVar[bytes | None] = None  # what the customer must answer; None: any 2xx will do

    def __init__(self, *, account: str, secret: str, clock: Clock, rng: np.random.Generator) -> None:
        self.account = account
        self.clock = clock
        self._secret = secret.encode()
        self._rng = rng

    @abstractmethod
    def order(self, call: Call) -> Order:
        """Read a call, credentials and all. Raises `CallRefused`."""

    @abstractmethod
    def yes(self, order: Order) -> Reply:
        """The message was taken."""

    @abstractmethod
    def no(self, order: Order, code: str) -> Reply:
        """The message was not taken."""

    @abstractmethod
    def refusal_code(self, error_class: ErrorClass) -> str:
        """One of the vendor's codes for a refusal of this class; for "unknown" a code that no manual lists."""

    @abstractmethod
    def receipt(self, order: Order, planned: PlannedReceipt, at: datetime) -> bytes:
        """One receipt as a row of `body`."""

    @abstractmethod
    def inbound(self, number: Number, text: str) -> bytes:
        """One inbound message as a row of `body`."""

    @abstractmethod
    def body(self, rows: Sequence[bytes]) -> bytes:
        """Rows as one body; a vendor that does not batch is given one row."""

    @abstractmethod
    def sign(self, path: str, body: bytes) -> dict[str, str]:
        """The headers of a pushed body."""

    def hmac(self, message: bytes) -> str:
        """HMAC-SHA256 under the secret shared with the customer, in hex."""
        return new_hmac(self._secret, message, "sha256").hexdigest()

    def timestamp(self) -> str:
        """Seconds since 1970."""
        return str(int(self.clock().timestamp()))

    def recent(self, timestamp: str) -> bool:
        """Whether a call was signed within five minutes of now."""
        return timestamp.isdecimal() and abs(self.clock().timestamp() - int(timestamp)) <= 300

    def pick(self, codes: Sequence[str]) -> str:
        """One of `codes`, at random."""
        return codes[int(self._rng.integers(len(codes)))]


def code_for(
    vendor: Vendor, codes: Mapping[ErrorClass, Sequence[str]], error_class: ErrorClass, *, unlisted: str
) -> str:
    """A vendor's code of that class; `unlisted` where it has none."""
    return vendor.pick(codes[error_class]) if error_class in codes else unlisted


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
        await self._handsets.deliver(order.number, order.text)
        if self.stop_share and self._rng.random() < self.stop_share:
            await self.reply(order.number, "STOP")


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
