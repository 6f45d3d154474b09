"""The load: people who ask for codes through one instance and enter them through the other, at a bounded rate.

Every call is written down with how it ended. Calls begin on time whether or not the ones before are answered (a slow
service meets the same load as a quick one) until too many are under way.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import numpy as np

from core.numbers import read
from sandbox.chaos.carriers import Carriers
from sandbox.chaos.cluster import CODE_LENGTH, INSTANCES, Cluster
from sandbox.chaos.ledger import Call, Ledger
from sandbox.handsets import Overheard
from sandbox.ports import LOOPBACK
from sandbox.providers import Simulator, build_app, serving
from sandbox.providers.pusher import Kind
from sandbox.world import make_number
from sandbox.world.places import areas

CALLS_PER_JOURNEY = 5.0
"""What one person does in the mean, receipts included."""
CLIENT_TIMEOUT_SECONDS = 15.0
UNDER_WAY_MAX = 2_000
TEXT_SECONDS = 5.0
"""Longest wait for a text. Some never come: the handset was off."""
CHECKS_MAX = 5
_CODE = re.compile(rf"(?<!\d)\d{{{CODE_LENGTH}}}(?!\d)")
_REFERENCE = re.compile(rb"([0-9a-f]{32})-(\d{1,3})")

Inbox = asyncio.Queue[str]
Body = dict[str, Any]


class Load:
    """People at `rate` calls a second, each call written into `ledger`. Use `running`."""

    def __init__(
        self, cluster: Cluster, ledger: Ledger, session: aiohttp.ClientSession, *, rate: float, rng: np.random.Generator
    ) -> None:
        self.cluster = cluster
        self.ledger = ledger
        self.rate = rate
        self.rng = rng
        self.carriers = Carriers()
        self.handsets = Overheard(self._overheard)
        self.simulators: dict[str, Simulator] = {}
        self.tolerated: frozenset[int] = frozenset()
        """Refusals that are meant to come while the nemesis is at it, such as 503 under ten times the load."""
        self.codes_may_expire = False
        """The nemesis moves the clocks: nobody can say how long a code is good that is sent or entered meanwhile."""
        self._doubtful: set[UUID] = set()
        self._written_for: dict[str, UUID] = {}
        self._session = session
        self._paused = False
        self._mistakes: list[BaseException] = []
        self._people: set[asyncio.Task[None]] = set()
        self._areas = areas()
        self._numbers: set[str] = set()

    # ---- life

    async def run(self) -> None:
        """Send people out until cancelled."""
        due = time.monotonic()
        while True:
            if not self._paused and len(self._people) < UNDER_WAY_MAX:
                self.begin(self._journey()())
            due = max(due + CALLS_PER_JOURNEY / self.rate, time.monotonic() - 0.5)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def begin(self, journey: Awaitable[None]) -> None:
        """One more person."""
        task = asyncio.ensure_future(journey)
        self._people.add(task)
        task.add_done_callback(self._ended)

    async def pause(self) -> None:
        """Nobody sets out; returns when everybody is home and providers have pushed what they had."""
        self._paused = True
        while self._people:
            await asyncio.wait(set(self._people))
        if self._mistakes:
            raise self._mistakes[0]  # of the load itself: what it wrote down cannot be trusted
        await asyncio.gather(*(simulator.drain() for simulator in self.simulators.values()))
        for simulator in self.simulators.values():
            self.ledger.submissions.update(
                {ref: n - self.ledger.submissions[ref] for ref, n in simulator.counts().items()}
            )

    def go_on(self) -> None:
        """People set out again."""
        self._paused = False

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._people.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._mistakes.append(error)

    # ---- people

    def _journey(self) -> Callable[[], Awaitable[None]]:
        drawn = self.rng.random()
        if drawn < 0.78:
            return self.verification
        if drawn < 0.88:
            return self.own_code
        return self.notification

    async def verification(self) -> None:
        """Ask for a code, sometimes twice; enter it, sometimes wrongly first; look at what became of it."""
        here, there = self.both()
        number = self.new_number()
        with self.handsets.watch(number) as inbox:
            order = {"to": number, "purpose": "login", "template": "code-plain"}
            sent = await self._send("verify", "/v1/verifications", order, here, there)
            if sent is None:
                return
            code = await self.text(inbox)
            if code is None or self._now_and_then(0.15):
                sent = await self._send("verify", "/v1/verifications", order, there, here) or sent
                code = await self.text(inbox) or code
            if self._now_and_then(0.03):
                await self._guess(sent, here, there)
            elif code is not None:
                # Without a store each instance begins a verification of its own for the same number.
                await self._enter(self._written_for.get(code, sent), code, here, there)
        await self._look(sent, here)

    async def _enter(self, verification: UUID, code: str, here: str, there: str) -> None:
        if self._now_and_then(0.2):
            await self.check(here, verification, self.not_the(code))
        answer = await self.check(there, verification, code, is_right=True)
        if answer.ending == "unknown" or self._now_and_then(0.1):
            await self.check(here, verification, code, is_right=True)

    async def _guess(self, verification: UUID, here: str, there: str) -> None:
        """Somebody who tries codes at random: only so many are looked at."""
        for number in range(CHECKS_MAX + 2):
            await self.check(here if number % 2 else there, verification, self.any_code())

    async def own_code(self) -> None:
        """An app with codes of its own: a message, then the word that its code was used."""
        here, there = self.both()
        number, code = self.new_number(), self.any_code()
        with self.handsets.watch(number) as inbox:
            order = {"to": number, "category": "code", "text": f"Your code: {code}"}
            message = await self._send("message", "/v1/messages", order, here, there)
            if message is not None and await self.text(inbox) == code:
                await self.call("convert", there, "/v1/conversions", {"id": str(message)}, request_id=message)

    async def notification(self) -> None:
        """A message; now and then its reader wants no more of them."""
        here, there = self.both()
        number = self.new_number()
        order = {"to": number, "category": "notification", "text": "Your parcel is on its way."}
        if await self._send("message", "/v1/messages", order, here, there) and self._now_and_then(0.3):
            provider = self.simulators[str(self.rng.choice(list(self.simulators)))]
            await provider.reply(number, "STOP")

    async def _look(self, verification: UUID, instance: str) -> None:
        """What the API says is final must stay so."""
        call, body = await self.call("read", instance, f"/v1/verifications/{verification}", request_id=verification)
        if call.ending == "ok":
            for row in body["attempts"]:
                if row["receipt"] in ("delivered", "failed"):
                    self.ledger.finals.setdefault((verification, int(row["attempt"])), row["receipt"])

    # ---- calls

    async def _send(self, kind: str, path: str, order: Body, here: str, there: str) -> UUID | None:
        """Send with a key of its own, and once more with the same key when no answer came, as any client should."""
        key, might_expire = uuid4().hex, self.codes_may_expire
        call, _ = await self.call(kind, here, path, order, key=key)
        if call.ending == "unknown" or self._now_and_then(0.1):
            # 409: the first call is still at it
            again, _ = await self.call(kind, there, path, order, key=key, intended=(409,))
            call.made_good = call.ending == "unknown" and again.ending == "ok"
            call = again if again.ending == "ok" else call
        if (might_expire or self.codes_may_expire) and call.request_id is not None:
            self._doubtful.add(call.request_id)
        return call.request_id if call.ending == "ok" else None

    async def check(self, instance: str, verification: UUID, code: str, *, is_right: bool = False) -> Call:
        """Enter a code, which is right or not."""
        path, might_expire = f"/v1/verifications/{verification}/check", self.codes_may_expire
        call, body = await self.call("check", instance, path, {"code": code}, request_id=verification)
        call.result = str(body.get("status", "")) if call.ending == "ok" else ""
        might_expire = might_expire or self.codes_may_expire or verification in self._doubtful
        call.is_right = is_right and not might_expire
        return call

    async def call(
        self,
        kind: str,
        instance: str,
        path: str,
        body: Body | None = None,
        *,
        request_id: UUID | None = None,
        key: str = "",
        intended: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Call, Body]:
        """One call, written down; without a body it is a GET. `intended` are refusals that are right."""
        at, begun = time.time(), time.monotonic()
        given = {"Authorization": f"Bearer {self.cluster.keys['sender']}", **(headers or {})}
        if key:
            given["Idempotency-Key"] = key
        status, answer, says_when = await self._ask(self.cluster.urls[instance] + path, body, given)
        call = Call(
            kind=kind,
            instance=instance,
            at=at,
            seconds=time.monotonic() - begun,
            status=status,
            request_id=request_id or (UUID(answer["id"]) if 200 <= status < 300 and "id" in answer else None),
            attempt=int(answer.get("attempt", 0)),
            key=key,
            intended=status in intended or status in self.tolerated,
            says_when=says_when,
        )
        self.ledger.calls.append(call)
        return call, answer

    async def _ask(self, url: str, body: Body | None, headers: Mapping[str, str]) -> tuple[int, Body, bool]:
        method = "GET" if body is None else "POST"
        try:
            async with self._session.request(method, url, json=body, headers=headers) as response:
                answer = await response.json(content_type=None)
                return response.status, answer if isinstance(answer, dict) else {}, "Retry-After" in response.headers
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, {}, False

    async def push(self, path: str, body: bytes, headers: Mapping[str, str], *, intended: Collection[int] = ()) -> int:
        """Push a body as a provider does; the HTTP status of the answer, 0 when there was none."""
        begun, status = time.monotonic(), 0
        url = f"http://{LOOPBACK}:{self.cluster.front.port}{path}"
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._session.post(url, data=body, headers=headers) as response:
                status = response.status
        if status not in intended:
            self.pushed("receipts", body, status, time.monotonic() - begun)
        return status

    # ---- what providers do

    def pushed(self, kind: Kind, body: bytes, status: int, seconds: float) -> None:
        """A provider pushed something."""
        call = Call(
            kind=kind,
            instance="front",
            at=time.time() - seconds,
            seconds=seconds,
            status=status,
            intended=status in self.tolerated,
        )
        self.ledger.calls.append(call)
        if call.ending != "ok":
            return
        if kind == "receipts":
            found = _REFERENCE.findall(body)
            self.ledger.receipts.update((UUID(hex=request.decode()), int(attempt)) for request, attempt in found)
        else:
            self.ledger.stops.update(number for number in self._numbers if number.lstrip("+").encode() in body)

    def messages_of(self, request_id: UUID) -> int:
        """How many messages of a request providers were asked to send."""
        counts = (simulator.counts() for simulator in self.simulators.values())
        return sum(times for count in counts for name, times in count.items() if name.startswith(request_id.hex))

    def arrived(self, reference: str, text: str) -> None:
        """A provider shows a text on its handset."""
        request, _, _attempt = reference.partition("-")
        self._written_for.update(dict.fromkeys(_CODE.findall(text), UUID(hex=request)))

    def _overheard(self, number: str, text: str) -> None:
        self.ledger.secrets.update(_CODE.findall(text))

    # ---- draws

    def new_number(self) -> str:
        """A number that nobody had before."""
        while True:
            area = self._areas[int(self.rng.integers(len(self._areas)))]
            number = make_number(self.rng, area.country, area.carrier, area.region)
            if number not in self._numbers:
                self._numbers.add(number)
                self.ledger.secrets.add(read(number).e164.lstrip("+"))
                return number

    def any_code(self) -> str:
        """Some code."""
        code = f"{self.rng.integers(10**CODE_LENGTH):0{CODE_LENGTH}d}"
        self.ledger.secrets.add(code)
        return code

    def not_the(self, code: str) -> str:
        """A code that is certainly wrong."""
        wrong = str((int(code[0]) + int(self.rng.integers(1, 10))) % 10) + code[1:]
        self.ledger.secrets.add(wrong)
        return wrong

    async def text(self, inbox: Inbox) -> str | None:
        """The code of the next text."""
        try:
            async with asyncio.timeout(TEXT_SECONDS):
                found = _CODE.search(await inbox.get())
                return found[0] if found else None
        except TimeoutError:
            return None

    def both(self) -> tuple[str, str]:
        """Two instances of those that run; the same one twice when only one does."""
        live = self.cluster.live or list(INSTANCES)
        first = int(self.rng.integers(len(live)))
        return live[first], live[(first + 1) % len(live)]

    def _now_and_then(self, share: float) -> bool:
        return bool(self.rng.random() < share)


@asynccontextmanager
async def running(cluster: Cluster, ledger: Ledger, *, rate: float, seed: int) -> AsyncIterator[Load]:
    """The load with the providers and handsets it needs, while the block runs."""
    rng = np.random.default_rng([seed, 0])
    timeout = aiohttp.ClientTimeout(total=CLIENT_TIMEOUT_SECONDS)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        load = Load(cluster, ledger, session, rate=rate, rng=rng)
        simulators = {
            build_app(
                stand.kind,
                world=load.carriers,
                rng=np.random.default_rng([seed, 1, number]),
                handsets=load.handsets,
                callback_url=f"http://{LOOPBACK}:{cluster.front.port}",
                account=stand.account,
                secret=stand.secret,
                clock=cluster.clock,
                flush_seconds=0.1,
                retry_seconds=(0.5, 1, 1, 2, 2, 4, 4, 8, 8, 15, 15),
                on_pushed=load.pushed,
                on_arrived=load.arrived,
            ): stand.port
            for number, stand in enumerate(cluster.stack.stands)
        }
        load.simulators = {simulator.name: simulator for simulator in simulators}
        async with serving(simulators):
            task = asyncio.create_task(load.run())
            try:
                yield load
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
