"""The two programs, from their start to a signal: the service, and the worker that has numbers encrypted."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from datetime import timedelta

import structlog
from prometheus_client import CollectorRegistry

from core.alerts import open_alerts
from core.attention import Attention
from core.clock import Clock, utc_now
from core.errors import HeliographError
from core.hooks import NO_HOOKS, Hooks, Step, no_step
from core.numbers import Seal
from core.queue.jetstream import JetStreamQueue
from core.settings import Settings
from service.aftermath import Aftermath
from service.api.server import answer_calls
from service.assembly import Outside, Service, build, open_providers, require, require_secrets
from service.encryptor import EncryptionClient, Encryptor
from service.failover import Failover
from service.guards.exchange import RedisExchange
from service.herald import Herald
from service.opening import open_store
from service.providers.base.session import open_session
from service.purge import Purge
from service.stores.sql import SqlStore

_log = structlog.get_logger(__name__)

_YOUNG_MAX = 20_000
"""Objects between two collections: with the default of 700 a call in hand with all it holds is looked through several times."""


async def serve(
    settings: Settings,
    *,
    on_ready: Callable[[str], None] = lambda _: None,
    on_ending: Callable[[], None] = lambda: None,
    hooks: Hooks = NO_HOOKS,
    clock: Clock = utc_now,
) -> None:
    """Run until a signal. `on_ready` is called once with the address, when calls are answered; `on_ending` when none is
    any more and the parts are to be stopped.

    Raises `ConfigurationError`, `StoreUnavailable`; other servers may be down at the start, and are warned about.
    """
    require_secrets(settings)
    registry = CollectorRegistry()
    alerts = open_alerts(settings, registry=registry, clock=clock)
    herald = Herald(alerts)
    attention = Attention()
    attention.start()
    store = await open_store(settings, on_notice=herald.hear, hooks=hooks, clock=clock, listened=attention)
    queue = JetStreamQueue(settings.queue, name="heliograph-service")
    async with open_session() as session:
        try:
            adapters = open_providers(settings, session=session, registry=registry, clock=clock, listened=attention)
            outside = Outside(
                store=store,
                queue=queue,
                providers=adapters,
                registry=registry,
                switch=store,
                exchange=RedisExchange(settings.mirror, instance=store.instance, clock=clock, listened=attention),
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
        purge = _purge(settings, store, clock)
        purge.start()
        herald.start(claim=store.claim, tell=service.publisher.tell_if_possible)
        aftermath = _aftermath(settings, store, service, clock)
        aftermath.start()
        gc.freeze()  # what was made so far stays: collections need not look through it again and again
        gc.set_threshold(_YOUNG_MAX)
        all_answered = False
        try:
            all_answered = await answer_calls(service.app, settings, on_ready=on_ready)
        finally:
            on_ending()
            await aftermath.stop(all_told=all_answered)
            await purge.stop()
            await herald.stop()
            await service.stop()
            await asyncio.to_thread(alerts.close)
            attention.stop()


def _aftermath(settings: Settings, store: Failover, service: Service, clock: Clock) -> Aftermath:
    return Aftermath(
        settings.journal.folder,
        store,
        tell=service.publisher.tell,
        clock=clock,
        telemetry=service.telemetry,
    )


def _purge(settings: Settings, store: Failover, clock: Clock) -> Purge:
    return Purge(
        store,
        claims_kept=timedelta(hours=settings.api.idempotency_hours),
        facts_kept=timedelta(days=settings.store.retention_days),
        clock=clock,
    )


async def work_on_numbers(settings: Settings, *, step: Step = no_step, clock: Clock = utc_now) -> None:
    """The encryption worker, until a signal. No server has to be there: the backlog waits. Raises `ConfigurationError`."""
    require({"numbers.seal_key": settings.numbers.seal_key, "encryption.token": settings.encryption.token})
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
