"""The parts of the service, made from the settings and passed to each other; nothing here connects to anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random, SystemRandom
from uuid import uuid4

import aiohttp
import structlog
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from core.clock import Clock, Timer, utc_now
from core.errors import ConfigurationError
from core.hooks import NO_HOOKS, Hooks
from core.numbers import NumberHash, Seal
from core.queue import Queue
from core.settings import Settings
from core.settings.sending import Api
from service import providers
from service.api import create_app
from service.api.express import Express
from service.api.parts import Parts, Switch
from service.availability import Journals, Minutes
from service.codes import Codes
from service.desk import Desk
from service.dispatch import Breaker, Dispatcher, Router
from service.failover import STORE_FOLDER
from service.guards import Guards
from service.guards.exchange import Exchange, Sharing
from service.health import Health
from service.idempotency import Idempotency
from service.keys import Keys
from service.limits import KeyedLocks, Limits
from service.messages import Messages
from service.providers.base.provider import Provider
from service.providers.base.telemetry import ProviderTelemetry
from service.publisher import EVENTS_FOLDER, Publisher
from service.receipts import Receipts
from service.request_ids import SealedIds
from service.stores import Store
from service.telemetry import Telemetry
from service.templates import Templates
from service.verifications import Verifications

_log = structlog.get_logger(__name__)

_MARGIN_SECONDS = 10.0
"""Beyond the deadline of a send, for the stores: a call older than both is not in flight any more."""


@dataclass(frozen=True)
class Service:
    """The parts that live as long as the process. `app` answers; `start` and `stop` go around it."""

    app: Express
    publisher: Publisher
    store: Store
    queue: Queue
    telemetry: Telemetry
    sharing: Sharing | None
    minutes: Minutes

    async def start(self) -> None:
        """Begin what runs beside the calls."""
        await self.publisher.start()
        self.minutes.start(self.publisher.tell_if_possible)
        if self.sharing is not None:
            self.sharing.start()

    async def stop(self) -> None:
        """Finish what waits and let go of every connection."""
        if self.sharing is not None:
            await self.sharing.stop()
        await self.minutes.stop(self.publisher.tell_if_possible)
        await self.publisher.stop()
        await self.queue.close()
        await self.store.close()


@dataclass(frozen=True)
class Outside:
    """What the service talks to, and its clocks: tests pass twins of all of them."""

    store: Store
    queue: Queue
    providers: Mapping[str, Provider]
    registry: CollectorRegistry
    switch: Switch | None = None
    exchange: Exchange | None = None
    clock: Clock = utc_now
    timer: Callable[[], float] = time.monotonic
    random: Random = SystemRandom()  # noqa: RUF009  # it has no state to share
    hooks: Hooks = NO_HOOKS
    instance: str = ""


def build(settings: Settings, outside: Outside) -> Service:
    """Make every part and pass them to each other. Raises `ConfigurationError`; connects to nothing."""
    require_secrets(settings)
    clock = outside.clock
    telemetry = Telemetry(outside.registry)
    minutes = _minutes(settings, outside, telemetry)
    publisher = Publisher(
        outside.queue,
        settings.journal.folder / EVENTS_FOLDER,
        settings=settings.journal,
        clock=clock,
        telemetry=telemetry,
        hooks=outside.hooks,
    )
    number_hash = NumberHash(settings.numbers.hash_key.get_secret_value())
    guards = Guards(settings.limits, timer=outside.timer, random=outside.random, digest=number_hash)
    desk = Desk(
        store=outside.store,
        dispatcher=_dispatcher(settings, outside, publisher, telemetry),
        publisher=publisher,
        templates=Templates(settings.templates),
        limits=Limits(settings.code, settings.limits),
        guards=guards,
        locks=KeyedLocks(),
        number_hash=number_hash,
        default_country=settings.numbers.default_country,
        clock=clock,
        telemetry=telemetry,
    )
    codes = Codes(settings.code.secret.get_secret_value(), length=settings.code.length)
    key_secret = settings.api.key_secret.get_secret_value()
    parts = Parts(
        settings=settings.api,
        clock=clock,
        keys=_keys(settings.api, outside),
        verifications=Verifications(desk, codes=codes, settings=settings.code),
        messages=Messages(desk),
        receipts=Receipts(
            providers=outside.providers,
            store=outside.store,
            publisher=publisher,
            number_hash=number_hash,
            clock=clock,
        ),
        idempotency=Idempotency(
            outside.store,
            secret=key_secret,
            keep_hours=settings.api.idempotency_hours,
            in_flight_seconds=settings.routing.deadline_seconds + _MARGIN_SECONDS,
            clock=clock,
            ids=SealedIds(settings.code.secret.get_secret_value(), clock=clock),
            telemetry=telemetry,
        ),
        health=Health(outside.store, queue_is_up=lambda: publisher.is_up, timer=outside.timer),
        telemetry=telemetry,
        minutes=minutes,
        switch=outside.switch,
    )
    sharing = Sharing(outside.exchange, guards) if outside.exchange else None
    return Service(create_app(parts), publisher, outside.store, outside.queue, telemetry, sharing, minutes)


def open_providers(
    settings: Settings,
    *,
    session: aiohttp.ClientSession,
    registry: CollectorRegistry,
    clock: Clock = utc_now,
    listened: Timer = time.monotonic,
) -> dict[str, Provider]:
    """The providers of the settings, by name. Raises `ConfigurationError`."""
    telemetry = ProviderTelemetry(registry)
    adapters: dict[str, Provider] = {}
    for row in settings.providers:
        if row.name in adapters:
            raise ConfigurationError(f"two providers are called {row.name}")
        adapters[row.name] = providers.build(row, session=session, clock=clock, telemetry=telemetry, listened=listened)
    if not adapters:
        _log.warning("no provider is configured: nothing can be sent", hint="add [[providers]] to the settings")
    return adapters


def require_secrets(settings: Settings) -> None:
    """Raise `ConfigurationError` that names every secret that is missing."""
    require(
        {
            "code.secret": settings.code.secret,
            "numbers.hash_key": settings.numbers.hash_key,
            "numbers.seal_key": settings.numbers.seal_key,
            "api.key_secret": settings.api.key_secret,
        }
    )


def require(secrets: dict[str, SecretStr]) -> None:
    """Raise `ConfigurationError` that names those of `secrets`, by their settings, that are empty."""
    missing = [name for name, value in secrets.items() if not value.get_secret_value()]
    if missing:
        raise ConfigurationError(
            f"these secrets are not set: {', '.join(missing)}",
            hint="`heliograph init` writes a settings file with fresh ones; all instances share it",
        )


def _minutes(settings: Settings, outside: Outside, telemetry: Telemetry) -> Minutes:
    folder = settings.journal.folder
    journals = Journals(store=folder / STORE_FOLDER, events=folder / EVENTS_FOLDER)
    minutes = Minutes(outside.instance or uuid4().hex, journals=journals, clock=outside.clock)
    telemetry.store_backlog_bytes.set_function(lambda: minutes.waiting.store)
    return minutes


def _keys(settings: Api, outside: Outside) -> Keys:
    return Keys(
        outside.store,
        secret=settings.key_secret.get_secret_value(),
        clock=outside.clock,
        cache_seconds=settings.key_cache_seconds,
        timer=outside.timer,
    )


def _dispatcher(
    settings: Settings,
    outside: Outside,
    publisher: Publisher,
    telemetry: Telemetry,
) -> Dispatcher:
    routing = settings.routing
    breaker = Breaker(failures=routing.breaker_failures, seconds=routing.breaker_seconds, timer=outside.timer)
    return Dispatcher(
        router=Router(outside.providers, breaker, outside.random),
        breaker=breaker,
        store=outside.store,
        publisher=publisher,
        seal=Seal(settings.numbers.seal_key.get_secret_value()),
        routing=routing,
        clock=outside.clock,
        timer=outside.timer,
        telemetry=telemetry,
    )
