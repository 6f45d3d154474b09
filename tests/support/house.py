"""The whole service over twins: a store, a queue and providers in the process, a clock that is moved by hand."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, cast

import aiohttp
import httpx
import msgspec
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from core.clock import Clock, ManualClock
from core.events import AnyEvent, decode_lines
from core.queue import EVENTS, NUMBERS
from core.queue.memory import MemoryQueue
from core.settings import Settings, sending, servers, watching
from service.assembly import Outside, Service, build
from service.facts import AnyFact
from service.failover import Failover
from service.keys import new_key
from service.opening import presumption_of
from service.providers.base.fields import RowUnreadable
from service.providers.base.provider import Provider
from service.providers.base.pushed import InboundRow, ReceiptRow
from service.providers.base.references import parse_reference
from service.providers.base.submission import Answer, Submission
from service.providers.base.telemetry import ProviderTelemetry
from service.stores.memory import MemoryStore
from tests.support.providers import a_number

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ACCEPTED = Answer("accepted")
CODE = re.compile(r"\b\d{6}\b")


class TwinProvider(Provider):
    """A provider in the process: gives the answers it is told in turn, then accepts; keeps what it was handed."""

    def __init__(
        self, name: str, *, clock: Clock, registry: ProviderTelemetry, weight: float, countries: list[str]
    ) -> None:
        row = sending.Provider(
            name=name,
            kind="twin",
            url="http://twin.invalid",
            account="acme",
            secret=SecretStr("a secret of the tests"),
            weight=weight,
            countries=countries,
        )
        super().__init__(row, session=cast("aiohttp.ClientSession", None), clock=clock, telemetry=registry)
        self.answers: list[Answer | Any] = []
        self.submissions: list[Submission] = []

    async def _submit(self, session: aiohttp.ClientSession, submission: Submission) -> Answer:
        self.submissions.append(submission)
        answer = self.answers.pop(0) if self.answers else ACCEPTED
        return answer if isinstance(answer, Answer) else await answer()

    def sign(self, body: bytes) -> dict[str, str]:
        """Headers that make a body ours."""
        return {"X-Signature": self._signature(body)}

    def _verify(self, headers: Mapping[str, str], body: bytes, path: str) -> None:
        self._demand(self._signature(body), headers.get("x-signature", ""))

    def _rows(self, body: bytes) -> Sequence[bytes]:
        return [bytes(row) for row in msgspec.json.decode(body, type=list[msgspec.Raw])]

    def _receipt(self, row: bytes) -> ReceiptRow:
        item = msgspec.json.decode(row, type=dict[str, str])
        if "status" not in item:
            raise RowUnreadable("status is missing")
        request_id, attempt = parse_reference(item.get("reference", ""))
        status = cast("Any", item["status"])
        return ReceiptRow(request_id, attempt, status, raw_status=item.get("raw", status))

    def _inbound(self, row: bytes) -> InboundRow:
        item = msgspec.json.decode(row, type=dict[str, str])
        return InboundRow(item["id"], item["from"], item["text"])


@dataclass
class House:
    """The service, and everything around it that a test wants to look at or break."""

    service: Service
    client: httpx.AsyncClient
    store: MemoryStore
    queue: MemoryQueue
    clock: ManualClock
    timer: list[float]
    providers: dict[str, TwinProvider]
    settings: Settings
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def sent(self) -> list[Submission]:
        """Every submission to every provider."""
        return [row for provider in self.providers.values() for row in provider.submissions]

    def code(self, attempt: int = -1) -> str:
        """The code in a message that a provider was handed, in the order of the references."""
        texts = [row.text for row in sorted(self.sent, key=lambda row: row.reference)]
        found = CODE.search(texts[attempt])
        assert found is not None
        return found[0]

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str = "shop",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One call with the key of an app; "" calls without one."""
        given = {"Content-Type": "application/json", **(headers or {})}
        if key:
            given["Authorization"] = f"Bearer {self.keys[key]}"
        content = body if isinstance(body, bytes) else (None if body is None else msgspec.json.encode(body))
        return await self.client.request(method, path, content=content, headers=given)

    async def verify(self, number: str, purpose: str = "login", **more: Any) -> httpx.Response:
        """Ask for a code."""
        headers = more.pop("headers", None)
        key = more.pop("key", "shop")
        body = {"to": number, "purpose": purpose, **more}
        return await self.call("POST", "/v1/verifications", body, key=key, headers=headers)

    async def check(self, verification_id: str, code: str, *, key: str = "shop") -> httpx.Response:
        """Enter a code."""
        return await self.call("POST", f"/v1/verifications/{verification_id}/check", {"code": code}, key=key)

    async def add_key(self, name: str, *scopes: str, app: str = "") -> str:
        """An API key called `name` for its app."""
        secret = self.settings.api.key_secret.get_secret_value()
        key, fact = new_key(app=app or name, scopes=frozenset(scopes), label="", secret=secret, now=self.clock())
        await self.store.write([fact])
        self.keys[name] = key
        return key

    def facts(self, kind: type[AnyFact]) -> list[Any]:
        """The facts of one kind."""
        return [fact for fact in self.store.facts() if isinstance(fact, kind)]

    async def events(self) -> list[AnyEvent]:
        """All events the queue has, once all that were told are published."""
        await self.service.publisher.publish_waiting()
        return [event for body in await self.bodies(EVENTS) for event in decode_lines(body)[0]]

    async def bodies(self, stream: str = NUMBERS) -> list[bytes]:
        """The bodies of all messages of a stream."""
        messages = await self.queue.pull(stream, f"test-{Random().random()}", batch_max=10_000, wait_seconds=0.01)
        return [message.body for message in messages]


@asynccontextmanager
async def open_house(
    folder: Path,
    *,
    code: Mapping[str, Any] | None = None,
    api: Mapping[str, Any] | None = None,
    routing: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    providers: Mapping[str, Mapping[str, Any]] | None = None,
    templates: Sequence[sending.Template] = (),
    store: MemoryStore | None = None,
    backup: MemoryStore | None = None,
    keys: Mapping[str, str] | None = None,
) -> AsyncIterator[House]:
    """A service with its own folder. `providers` are names with `weight` and `countries`; one called route by default.
    With a `backup` it stands on both stores, as the real one does; `keys` are those of another instance.
    """
    settings = make_settings(folder, code=code, api=api, routing=routing, limits=limits, templates=templates)
    clock, registry, timer = ManualClock(NOW), CollectorRegistry(), [0.0]
    telemetry = ProviderTelemetry(registry)
    rows = providers or {"route": {}}
    twins = {
        name: TwinProvider(
            name, clock=clock, registry=telemetry, weight=row.get("weight", 1.0), countries=row.get("countries", [])
        )
        for name, row in rows.items()
    }
    store, queue = store or MemoryStore(), MemoryQueue()
    failover = _failover(settings, store, backup, clock) if backup else None
    if failover is not None:
        await failover.start()
    outside = Outside(
        store=failover or store,
        switch=failover,
        queue=queue,
        providers=twins,
        registry=registry,
        clock=clock,
        timer=lambda: timer[0],
        random=Random(7),
    )
    service = build(settings, outside)
    transport = httpx.ASGITransport(app=cast("Any", service.app))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        house = House(service, client, store, queue, clock, timer, twins, settings)
        house.keys.update(keys or {})
        if not keys:
            await house.add_key("shop", "send", "read")
            await house.add_key("bank", "send", "read")
            await house.add_key("operator", "operate")
        yield house
    await service.stop()


def _failover(settings: Settings, primary: MemoryStore, backup: MemoryStore, clock: Clock) -> Failover:
    return Failover(
        primary=primary,
        backup=backup,
        settings=servers.Failover(probe_seconds=0.02),
        journal=settings.journal,
        presumption=presumption_of(settings),
        clock=clock,
    )


def distinct_numbers(count: int) -> list[str]:
    """Numbers of which no two are the same."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[a_number()] = None
    return list(found)


def make_settings(
    folder: Path,
    *,
    code: Mapping[str, Any] | None = None,
    api: Mapping[str, Any] | None = None,
    routing: Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    templates: Sequence[sending.Template] = (),
) -> Settings:
    """Settings whose secrets are known to the tests, and whose journal lies in `folder`."""
    secrets = {name: f"{name}, a secret of the tests, long enough" for name in ("code", "hash", "seal", "api")}
    return Settings(
        code=sending.Code(secret=SecretStr(secrets["code"]), **(code or {})),
        numbers=sending.Numbers(hash_key=SecretStr(secrets["hash"]), seal_key=SecretStr(secrets["seal"])),
        api=sending.Api(key_secret=SecretStr(secrets["api"]), **(api or {})),
        routing=sending.Routing(**(routing or {})),
        limits=sending.Limits(**(limits or {})),
        journal=servers.Journal(folder=folder / "journal"),
        alerts=watching.Alerts(folder=folder / "alerts"),
        templates=list(templates),
    )
