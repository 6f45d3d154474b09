"""Simulated people, the real service and the simulated providers over loopback HTTP: live traffic reads as history does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from core.clock import utc_now
from core.errors import ConfigurationError
from core.events import AnyEvent, Receipt, Send, Verify, decode_lines
from core.queue import EVENTS
from core.queue.memory import MemoryQueue
from core.settings import Settings, sending, servers
from sandbox.handsets import Handsets
from sandbox.history import write_history
from sandbox.ports import free_ports
from sandbox.providers import Stand, build_app, serving
from sandbox.subscribers import Subscribers, Tally
from sandbox.traffic import Order, read_order, run_traffic
from sandbox.world import APPS, PROVIDER_WEIGHTS, PROVIDERS, TEXTS, World
from service.assembly import Outside, Service, build, open_providers
from service.keys import new_key
from service.providers.base.session import open_session
from service.stores.memory import MemoryStore

SECRET = "a secret of the tests, longer than it need be"
PACE = 0.006


@dataclass
class Live:
    """What came of a stretch of live traffic."""

    tally: Tally
    events: list[AnyEvent]


def settings_of(folder: Path, ports: Mapping[str, int]) -> Settings:
    secret = SecretStr(SECRET)
    return Settings(
        code=sending.Code(secret=secret, cooldown_seconds=[0]),
        numbers=sending.Numbers(hash_key=secret, seal_key=secret),
        api=sending.Api(key_secret=secret),
        journal=servers.Journal(folder=folder),
        providers=[
            sending.Provider(
                name=name,
                kind=name,
                url=f"http://127.0.0.1:{ports[name]}",
                account="acme",
                secret=secret,
                weight=PROVIDER_WEIGHTS[name],
            )
            for name in PROVIDERS
        ],
        templates=[
            sending.Template(name=text.name, locale=locale, text=body)
            for text in TEXTS
            for locale, body in text.locales.items()
        ],
    )


@asynccontextmanager
async def answering(app: object, port: int) -> AsyncIterator[None]:
    """An ASGI application on a port."""
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)  # type: ignore[arg-type]
    )
    listener = socket.create_server(("127.0.0.1", port))
    serve = asyncio.create_task(server._serve([listener]))  # without the signal handlers, which belong to the test run
    try:
        yield
    finally:
        server.should_exit = True
        await serve


@dataclass
class Running:
    """The real service over twins of its store and queue, with room for the providers."""

    service: Service
    queue: MemoryQueue
    url: str
    keys: dict[str, str]
    stands: list[Stand]

    async def events(self) -> list[AnyEvent]:
        """All that it told."""
        await self.service.publisher.publish_waiting()
        told = await self.queue.pull(EVENTS, "test", batch_max=10_000, wait_seconds=0)
        return [event for message in told for event in decode_lines(message.body)[0]]


@asynccontextmanager
async def running_service(folder: Path) -> AsyncIterator[Running]:
    queue, store = MemoryQueue(), MemoryStore()
    service_port, *provider_ports = free_ports(1 + len(PROVIDERS))
    stands = [Stand(name, port, "acme", SECRET) for name, port in zip(PROVIDERS, provider_ports, strict=True)]
    settings = settings_of(folder, {stand.kind: stand.port for stand in stands})
    keys = {}
    for app in APPS:
        keys[app], fact = new_key(app=app, scopes=frozenset({"send"}), label="", secret=SECRET, now=utc_now())
        await store.write([fact])
    async with open_session() as session:
        registry = CollectorRegistry()
        adapters = open_providers(settings, session=session, registry=registry)
        service = build(settings, Outside(store=store, queue=queue, providers=adapters, registry=registry))
        await service.start()
        try:
            async with answering(service.app, service_port):
                yield Running(service, queue, f"http://127.0.0.1:{service_port}", keys, stands)
        finally:
            await service.stop()


async def live(folder: Path, *, people: int, messages: int) -> Live:
    """Run `people` verifications and some messages through everything."""
    world, handsets = World(seed=4, pace=PACE), Handsets()
    async with running_service(folder) as running:
        simulators = {
            build_app(
                stand.kind,
                world=world,
                rng=world.rng(3, PROVIDERS.index(stand.kind)),
                handsets=handsets,
                callback_url=running.url,
                account=stand.account,
                secret=stand.secret,
                flush_seconds=0.01,
            ): stand.port
            for stand in running.stands
        }
        async with (
            serving(simulators),
            Subscribers(world, api_url=running.url, keys=running.keys, handsets=handsets) as subscribers,
        ):
            tally = await subscribers.send_and_verify(people, at_once=15)
            rng = world.rng(5)
            for _ in range(messages):
                await subscribers.message(world.wish(rng, utc_now()))
            with suppress(TimeoutError):  # the latest receipts come hours later, even at this pace
                async with asyncio.timeout(1):
                    await asyncio.gather(*(simulator.drain() for simulator in simulators))
        return Live(tally, await running.events())


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Live:
    return asyncio.run(live(tmp_path_factory.mktemp("live"), people=150, messages=10))


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> list[AnyEvent]:
    end = datetime(2026, 3, 11, tzinfo=UTC)
    paths = write_history(
        tmp_path_factory.mktemp("past"),
        world=World(seed=4),
        end=end,
        days=2,
        verifications_per_day=10_000,
        progress=lambda _done, _total: None,
    )
    return [event for path in paths for event in decode_lines(path.read_bytes())[0]]


def test_everybody_is_accounted_for_from_the_call_to_the_event(lived: Live):
    tally = lived.tally
    sends = [event for event in lived.events if isinstance(event, Send)]
    approved = {event.request_id for event in lived.events if isinstance(event, Verify) and event.result == "approved"}
    refused = sum(tally.refused.values())

    assert 150 <= tally.approved + tally.abandoned + refused <= 150 + refused
    assert tally.approved > 120
    assert len(approved) == tally.approved
    assert len({send.request_id for send in sends}) >= tally.sent + tally.messages
    assert {send.provider for send in sends} == set(PROVIDERS)


WORDS: dict[str, Callable[[AnyEvent], object]] = {
    "a place": lambda event: (event.country, event.carrier, event.region) if isinstance(event, Send) else None,
    "what for": lambda event: (
        (event.app, event.purpose, event.template, event.category) if isinstance(event, Send) else None
    ),
    "length": lambda event: (event.template, event.country, event.segments) if isinstance(event, Send) else None,
    "an outcome": lambda event: (event.outcome, event.error_class) if isinstance(event, Send) else None,
    "good news": lambda event: (
        (event.provider, event.status, event.raw_status, event.raw_code)
        if isinstance(event, Receipt) and event.status != "failed"
        else None
    ),
    "a check": lambda event: (
        (event.app, event.purpose, event.template, event.source, event.result) if isinstance(event, Verify) else None
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_live_traffic_says_nothing_that_the_history_does_not_say(name: str, lived: Live, past: list[AnyEvent]):
    said_live = {WORDS[name](event) for event in lived.events}
    said_before = {WORDS[name](event) for event in past}

    assert len(said_live) > 1
    assert said_live <= said_before


async def test_the_traffic_process_runs_providers_and_people_until_it_is_cancelled(tmp_path: Path):
    async with running_service(tmp_path / "journal") as running:
        order = Order(
            api_url=running.url,
            keys=running.keys,
            stands=running.stands,
            seed=8,
            rate_per_minute=6_000,
            fault="provider-outage",
            fault_from=datetime(2026, 1, 1, tzinfo=UTC),
            pace=PACE,
        )
        traffic = asyncio.create_task(run_traffic(order))
        seen: list[AnyEvent] = []
        async with asyncio.timeout(30):
            while sum(isinstance(event, Verify) for event in seen) < 40 or not _told(seen) >= {
                "beacon",
                "cumulus",
                "delta",
            }:
                assert not traffic.done()
                await asyncio.sleep(0.05)
                seen += await running.events()
        traffic.cancel()
        with pytest.raises(asyncio.CancelledError):
            await traffic
        aurora = [event.outcome for event in seen if isinstance(event, Send) and event.provider == "aurora"]

        assert aurora.count("accepted") < len(aurora) / 2


def _told(seen: list[AnyEvent]) -> set[str]:
    """The providers whose receipts came."""
    return {event.provider for event in seen if isinstance(event, Receipt)}


def test_an_order_is_read_back_and_a_wrong_one_is_refused_without_repeating_it(tmp_path: Path):
    path = tmp_path / "order.json"
    order = Order(
        api_url="http://127.0.0.1:1",
        keys={"shop": SECRET},
        stands=[Stand("aurora", 1, "acme", SECRET)],
        seed=1,
        rate_per_minute=10,
        fault="pumping",
        fault_from=datetime(2026, 1, 1, tzinfo=UTC),
    )
    path.write_bytes(msgspec.json.encode(order))

    assert read_order(path) == order
    for wrong in (
        msgspec.json.encode({"keys": SECRET}),
        msgspec.json.encode(msgspec.structs.replace(order, fault="no")),
    ):
        path.write_bytes(wrong)
        with pytest.raises(ConfigurationError) as refusal:
            read_order(path)
        assert SECRET not in str(refusal.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_order(tmp_path / "nowhere.json")
