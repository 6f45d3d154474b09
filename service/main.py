"""The service's composition root: reads settings, makes the parts, passes them to each other, starts and stops them."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random, SystemRandom
from uuid import uuid4

import aiohttp
import structlog
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import make_url

from core.alerts import open_alerts
from core.clock import Clock, utc_now
from core.errors import ConfigurationError, HeliographError, StoreUnavailable, Unavailable
from core.hooks import NO_HOOKS, Hooks, Step, no_step
from core.numbers import NumberHash, Seal
from core.queue import Queue
from core.queue.jetstream import JetStreamQueue
from core.settings import Settings
from service import providers
from service.aftermath import Aftermath
from service.api import create_app
from service.api.express import Express
from service.api.parts import Parts, Switch
from service.api.server import answer_calls
from service.availability import Minutes
from service.codes import Codes
from service.desk import Desk
from service.dispatch import Breaker, Dispatcher, Router
from service.encryptor import EncryptionClient, Encryptor
from service.facts import AnyFact
from service.failover import STORE_FOLDER, Failover, Status
from service.failover.note import decode_note, load_note
from service.failover.notices import OnNotice
from service.failover.presumption import Presumption
from service.guards import Guards
from service.guards.exchange import Exchange, RedisExchange, Sharing
from service.health import Health
from service.herald import Herald
from service.idempotency import Idempotency
from service.keys import Keys, new_key, revocation
from service.limits import TEN_MINUTES, KeyedLocks, Limits
from service.messages import Messages
from service.providers.base.provider import Provider
from service.providers.base.session import open_session
from service.providers.base.telemetry import ProviderTelemetry
from service.publisher import EVENTS_FOLDER, Publisher
from service.purge import Purge
from service.receipts import Receipts
from service.request_ids import SealedIds
from service.stores import Store
from service.stores.redis import RedisStore
from service.stores.sql import SqlStore
from service.telemetry import Telemetry
from service.templates import Templates
from service.verifications import Verifications

_log = structlog.get_logger(__name__)

_YOUNG_MAX = 20_000
"""Objects between two collections: with the default of 700 a call in hand with all it holds is looked through several times."""
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
    minutes = Minutes(outside.instance or uuid4().hex, clock=clock)
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
        keys=Keys(outside.store, secret=key_secret, clock=clock, cache_seconds=settings.api.key_cache_seconds),
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
            ids=_ids(settings, clock),
            telemetry=telemetry,
        ),
        health=Health(outside.store, queue_is_up=lambda: publisher.is_up, timer=outside.timer),
        telemetry=telemetry,
        minutes=minutes,
        switch=outside.switch,
    )
    sharing = Sharing(outside.exchange, guards) if outside.exchange else None
    return Service(create_app(parts), publisher, outside.store, outside.queue, telemetry, sharing, minutes)


def require_secrets(settings: Settings) -> None:
    """Raise `ConfigurationError` that names every secret that is missing."""
    _require(
        {
            "code.secret": settings.code.secret,
            "numbers.hash_key": settings.numbers.hash_key,
            "numbers.seal_key": settings.numbers.seal_key,
            "api.key_secret": settings.api.key_secret,
        }
    )


async def open_store(
    settings: Settings,
    *,
    on_notice: OnNotice = lambda _notice: None,
    hooks: Hooks = NO_HOOKS,
    clock: Clock = utc_now,
) -> Failover:
    """The stores of the settings as one, started. While the primary store does not answer, the service starts only when
    it is known to be down: a wrong address must not pass for an outage. Raises `StoreUnavailable`.
    """
    primary, backup = SqlStore(settings.store, clock=clock), RedisStore(settings.mirror, clock=clock)
    try:
        await primary.prepare()
        await primary.probe()
    except StoreUnavailable as error:
        if not await _is_known_to_be_down(settings, backup):
            await asyncio.gather(primary.close(), backup.close())
            raise _primary_absent(settings, error) from None
        _log.warning("starting without the primary store, which is known to be down", reason=str(error))
    failover = Failover(
        primary=primary,
        backup=backup,
        settings=settings.failover,
        journal=settings.journal,
        presumption=presumption_of(settings),
        claims_kept=timedelta(hours=settings.api.idempotency_hours),
        clock=clock,
        on_notice=on_notice,
        hooks=hooks,
    )
    await failover.start()
    return failover


def presumption_of(settings: Settings) -> Presumption:
    """What may be presumed of a verification when no store can be asked."""
    code = settings.code
    is_short = code.lifetime_seconds <= TEN_MINUTES.total_seconds()
    sends_max = code.sends_per_ten_minutes if is_short else code.sends_per_day
    return Presumption(
        ids=_ids(settings, utc_now),
        lifetime_seconds=code.lifetime_seconds,
        attempts_max=sends_max + settings.routing.attempts_max - 1,  # the last send may take several providers
    )


def _ids(settings: Settings, clock: Clock) -> SealedIds:
    return SealedIds(settings.code.secret.get_secret_value(), clock=clock)


async def _is_known_to_be_down(settings: Settings, backup: RedisStore) -> bool:
    down = (Status.MYSQL_FATAL, Status.BOTH_FATAL)
    note = load_note(settings.journal.folder / STORE_FOLDER)
    if note is not None and note.status in down:
        return True
    try:
        note = decode_note(await backup.note())
    except Unavailable:
        return False
    return note is not None and note.status in down


def _primary_absent(settings: Settings, error: StoreUnavailable) -> StoreUnavailable:
    url = make_url(settings.store.url.get_secret_value())
    where = f"{url.host}:{url.port}" if url.port else (url.host or url.database or "?")
    return StoreUnavailable(
        f"the primary store at {where} does not answer: {error}",
        hint="check [store] url in the settings, and that the server runs there and takes writes; "
        "`heliograph failover` declares it down where another instance serves from the backup",
    )


async def serve(
    settings: Settings,
    *,
    on_ready: Callable[[str], None] = lambda _: None,
    hooks: Hooks = NO_HOOKS,
    clock: Clock = utc_now,
) -> None:
    """Run until a signal. `on_ready` is called once with the address, when calls are answered.

    Raises `ConfigurationError`, `StoreUnavailable`; other servers may be down at the start, and are warned about.
    """
    require_secrets(settings)
    registry = CollectorRegistry()
    alerts = open_alerts(settings, registry=registry, clock=clock)
    herald = Herald(alerts)
    store = await open_store(settings, on_notice=herald.hear, hooks=hooks, clock=clock)
    queue = JetStreamQueue(settings.queue, name="heliograph-service")
    async with open_session() as session:
        try:
            adapters = open_providers(settings, session=session, registry=registry, clock=clock)
            outside = Outside(
                store=store,
                queue=queue,
                providers=adapters,
                registry=registry,
                switch=store,
                exchange=RedisExchange(settings.mirror, instance=store.instance, clock=clock),
                instance=store.instance,
                clock=clock,
                hooks=hooks,
            )
            service = build(settings, outside)
        except HeliographError:
            await store.close()
            raise
        await service.start()
        alerts.start()
        purge = Purge(
            store,
            claims_kept=timedelta(hours=settings.api.idempotency_hours),
            facts_kept=timedelta(days=settings.store.retention_days),
            clock=clock,
        )
        purge.start()
        herald.start(claim=store.claim, tell=service.publisher.tell_if_possible)
        aftermath = Aftermath(settings.journal.folder, store, tell=service.publisher.tell, clock=clock)
        aftermath.start()
        gc.freeze()  # what was made so far stays: collections need not look through it again and again
        gc.set_threshold(_YOUNG_MAX)
        try:
            await answer_calls(service.app, settings, on_ready=on_ready)
        finally:
            await aftermath.stop()
            await purge.stop()
            await herald.stop()
            await service.stop()
            await asyncio.to_thread(alerts.close)


async def work_on_numbers(settings: Settings, *, step: Step = no_step, clock: Clock = utc_now) -> None:
    """The encryption worker, until a signal. No server has to be there: the backlog waits. Raises `ConfigurationError`."""
    _require({"numbers.seal_key": settings.numbers.seal_key, "encryption.token": settings.encryption.token})
    store = SqlStore(settings.store, clock=clock)
    queue = JetStreamQueue(settings.queue, name="heliograph-encryptor")
    async with open_session() as session:
        worker = Encryptor(
            queue=queue,
            store=store,
            client=EncryptionClient(session, settings.encryption),
            seal=Seal(settings.numbers.seal_key.get_secret_value()),
            clock=clock,
            step=step,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, worker.stop)
        _log.info("encryptor works", service=settings.encryption.url)
        try:
            await worker.run()
        finally:
            await queue.close()
            await store.close()


async def create_key(settings: Settings, *, app: str, scopes: frozenset[str], label: str) -> tuple[str, str]:
    """Make an API key: the key, and its id. Raises `BadInput`, `ConfigurationError`, `StoreUnavailable`."""
    _require({"api.key_secret": settings.api.key_secret})
    secret = settings.api.key_secret.get_secret_value()
    key, fact = new_key(app=app, scopes=scopes, label=label, secret=secret, now=utc_now())
    await _write(settings, fact)
    return key, fact.key_hash


async def revoke_key(settings: Settings, key_or_id: str) -> None:
    """End an API key. Raises `BadInput`, `ConfigurationError`, `StoreUnavailable`."""
    _require({"api.key_secret": settings.api.key_secret})
    await _write(settings, revocation(key_or_id, secret=settings.api.key_secret.get_secret_value(), now=utc_now()))


async def _write(settings: Settings, fact: AnyFact) -> None:
    store = SqlStore(settings.store)
    try:
        await store.prepare()
        await store.write([fact])
    finally:
        await store.close()


def _require(secrets: dict[str, SecretStr]) -> None:
    missing = [name for name, value in secrets.items() if not value.get_secret_value()]
    if missing:
        raise ConfigurationError(
            f"these secrets are not set: {', '.join(missing)}",
            hint="`heliograph init` writes a settings file with fresh ones; all instances share it",
        )


def open_providers(
    settings: Settings, *, session: aiohttp.ClientSession, registry: CollectorRegistry, clock: Clock = utc_now
) -> dict[str, Provider]:
    """The providers of the settings, by name. Raises `ConfigurationError`."""
    telemetry = ProviderTelemetry(registry)
    adapters: dict[str, Provider] = {}
    for row in settings.providers:
        if row.name in adapters:
            raise ConfigurationError(f"two providers are called {row.name}")
        adapters[row.name] = providers.build(row, session=session, clock=clock, telemetry=telemetry)
    if not adapters:
        _log.warning("no provider is configured: nothing can be sent", hint="add [[providers]] to the settings")
    return adapters


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
