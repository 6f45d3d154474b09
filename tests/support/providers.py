"""A provider's adapter and its simulator face to face over loopback HTTP, with twins for the world and the customer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from core.clock import Clock, Timer, utc_now
from core.ids import RequestIds
from core.settings.sending import Provider as ProviderSettings
from sandbox.providers import Simulator, build_app, serving
from sandbox.world import Fate, make_number
from service.providers import build
from service.providers.base.provider import Provider
from service.providers.base.pushed import BadRow, InboundRow, ReceiptRow
from service.providers.base.references import reference_of
from service.providers.base.session import open_session
from service.providers.base.submission import Submission
from service.providers.base.telemetry import ProviderTelemetry

KINDS = ("aurora", "beacon", "cumulus", "delta")
ACCEPTED = Fate("accepted", "", 0.0, (), None)
SECRET = "a secret of the tests, shared by both sides"


class TellFate:
    """A world in which every message has the fate it is told."""

    def __init__(self, fate: Fate) -> None:
        self.told = fate
        self.asked: list[dict[str, object]] = []

    def fate(self, rng: np.random.Generator, **about: object) -> Fate:
        self.asked.append(about)
        return self.told


class KeepTexts:
    """Handsets that only keep what they are shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, str]] = []

    async def deliver(self, number: str, text: str) -> None:
        self.shown.append((number, text))


@dataclass
class Customer:
    """Who receives what a provider pushes. `refusals` are answered first, one a body."""

    provider: Provider | None = None
    refusals: list[web.Response] = field(default_factory=list)
    receipts: list[ReceiptRow] = field(default_factory=list)
    inbound: list[InboundRow] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    rows_a_body: list[int] = field(default_factory=list)
    on_body: Callable[[], None] = lambda: None

    async def take(self, request: web.Request) -> web.Response:
        if self.refusals:
            return self.refusals.pop(0)
        assert self.provider is not None
        body = await request.read()
        if request.match_info["kind"] == "receipts":
            rows, bad = self.provider.receipts(request.headers, body)
            self.receipts.extend(rows)
        else:
            rows, bad = self.provider.inbound(request.headers, body)
            self.inbound.extend(rows)
        self.bad.extend(bad)
        self.rows_a_body.append(len(rows))
        self.on_body()
        reply = self.provider.receipt_reply
        return web.Response(body=reply.body, content_type=reply.content_type)


@dataclass
class Pair:
    """Both sides of one provider."""

    provider: Provider
    simulator: Simulator
    customer: Customer
    world: TellFate
    handsets: KeepTexts
    registry: CollectorRegistry
    url: str


@asynccontextmanager
async def pair(
    kind: str,
    fate: Fate = ACCEPTED,
    *,
    timeout_seconds: float = 5.0,
    clock: Clock = utc_now,
    account: str = "acme",
    retry_seconds: Sequence[float] = (0.01,) * 5,
    stop_share: float = 0.0,
    flush_seconds: float = 0.02,
    their_secret: str = SECRET,
    listened: Timer = monotonic,
) -> AsyncIterator[Pair]:
    """A simulator that serves, and the adapter that speaks to it."""
    customer, world, handsets, registry = Customer(), TellFate(fate), KeepTexts(), CollectorRegistry()
    app = web.Application()
    app.router.add_post("/v1/{kind}/{provider}", customer.take)
    async with TestServer(app) as server, open_session() as session:
        simulator = build_app(
            kind,
            world=world,
            rng=np.random.default_rng(7),
            handsets=handsets,
            callback_url=str(server.make_url("/")),
            account="acme",
            secret=their_secret,
            name="route-1",
            clock=clock,
            stop_share=stop_share,
            flush_seconds=flush_seconds,
            retry_seconds=retry_seconds,
        )
        async with serving({simulator: 0}) as urls:
            settings = settings_of(kind, url=urls[simulator], account=account, timeout_seconds=timeout_seconds)
            telemetry = ProviderTelemetry(registry)
            provider = build(settings, session=session, clock=clock, telemetry=telemetry, listened=listened)
            customer.provider = provider
            yield Pair(provider, simulator, customer, world, handsets, registry, urls[simulator])


def settings_of(kind: str, *, url: str, account: str = "acme", timeout_seconds: float = 5.0) -> ProviderSettings:
    """Settings of a provider called route-1."""
    return ProviderSettings(
        name="route-1", kind=kind, url=url, account=account, secret=SECRET, timeout_seconds=timeout_seconds
    )


_ids = RequestIds(utc_now)


def a_number(country: str = "US", carrier: str = "") -> str:
    """A number made at run time; it is written nowhere."""
    return make_number(np.random.default_rng(), country, carrier)


def a_submission(*, attempt: int = 1, text: str = "", number: str = "") -> Submission:
    """A message for somebody, with a reference nobody has used."""
    return Submission(
        reference=reference_of(_ids(), attempt),
        number=number or a_number(),
        text=text or "hello, is anybody there?",
        country="US",
        sender="Helio",
    )
