"""Four simulated providers over real HTTP, each with the format of its adapter in `service/providers`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import numpy as np
import uvicorn

from core.clock import Clock, utc_now
from sandbox.ports import LOOPBACK
from sandbox.providers.aurora import Aurora
from sandbox.providers.beacon import Beacon
from sandbox.providers.cumulus import Cumulus
from sandbox.providers.delta import Delta
from sandbox.providers.pusher import RETRY_SECONDS, OnPushed
from sandbox.providers.simulator import FateSource, Handsets, OnArrived, Sabotage, Simulator
from sandbox.providers.vendor import Vendor
from sandbox.world import template_of as template_of_text

__all__ = [
    "VENDORS",
    "FateSource",
    "Handsets",
    "OnArrived",
    "OnPushed",
    "Sabotage",
    "Simulator",
    "Stand",
    "build_app",
    "serve_all",
    "serving",
]

VENDORS: Mapping[str, type[Vendor]] = {"aurora": Aurora, "beacon": Beacon, "cumulus": Cumulus, "delta": Delta}


@dataclass(frozen=True)
class Stand:
    """Where one simulated provider listens, and what it shares with its customer. Port 0 picks a free one.

    `name` is the provider's name in the customer's settings, to which receipts are pushed.
    """

    kind: str
    port: int
    account: str
    secret: str = field(repr=False)
    name: str = ""


def build_app(
    kind: str,
    *,
    world: FateSource,
    rng: np.random.Generator,
    handsets: Handsets,
    callback_url: str,
    account: str,
    secret: str,
    name: str = "",
    clock: Clock = utc_now,
    template_of: Callable[[str], str] = template_of_text,
    stop_share: float = 0.0,
    flush_seconds: float = 1.0,
    retry_seconds: Sequence[float] = RETRY_SECONDS,
    on_pushed: OnPushed = lambda _kind, _body, _status, _seconds: None,
    on_arrived: OnArrived = lambda _reference, _text: None,
) -> Simulator:
    """One provider as an ASGI application; make it on the event loop that serves it, and `close` it at the end.

    `callback_url` is the customer's address without a path. `template_of` is what its filters see in a text;
    `stop_share` is the share of those who answer a message with STOP. A kind that does not exist is a `KeyError`.
    """
    return Simulator(
        VENDORS[kind](account=account, secret=secret, clock=clock, rng=rng),
        kind=kind,
        name=name or kind,
        world=world,
        rng=rng,
        handsets=handsets,
        callback_url=callback_url,
        clock=clock,
        template_of=template_of,
        stop_share=stop_share,
        flush_seconds=flush_seconds,
        retry_seconds=retry_seconds,
        on_pushed=on_pushed,
        on_arrived=on_arrived,
    )


@asynccontextmanager
async def serving(simulators: Mapping[Simulator, int], *, host: str = LOOPBACK) -> AsyncIterator[dict[Simulator, str]]:
    """Serve simulators at the given ports while the block runs; yields their addresses once they answer.

    At the end what they still planned is dropped. Raises `OSError` when a port is taken.
    """
    listeners: dict[Simulator, socket.socket] = {}
    tasks: list[asyncio.Task[None]] = []
    servers: list[_Server] = []
    try:
        for simulator, port in simulators.items():
            listeners[simulator] = socket.create_server((host, port), backlog=2048)
        for simulator, listener in listeners.items():
            # Idle connections outlive those of any client, so that no call meets one that is just being closed.
            config = uvicorn.Config(
                simulator,
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                date_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=2,
            )
            servers.append(_Server(config))
            tasks.append(asyncio.create_task(servers[-1].serve(sockets=[listener])))
        for server in servers:
            await server.up.wait()
        yield {each: f"http://{host}:{listener.getsockname()[1]}" for each, listener in listeners.items()}
    finally:
        for simulator in simulators:
            await simulator.close()
        for server in servers:
            server.stop.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in listeners.values():
            listener.close()


async def serve_all(
    stands: Sequence[Stand],
    *,
    world: FateSource,
    rng: np.random.Generator,
    handsets: Handsets,
    callback_url: str,
    clock: Clock = utc_now,
    template_of: Callable[[str], str] = template_of_text,
    stop_share: float = 0.0,
    flush_seconds: float = 1.0,
    ready: Callable[[Mapping[str, Simulator]], None] = lambda _: None,
) -> None:
    """Serve all of them in this process until cancelled. `ready` is called once with the simulators by name."""
    simulators = {
        build_app(
            stand.kind,
            world=world,
            rng=own_rng,
            handsets=handsets,
            callback_url=callback_url,
            account=stand.account,
            secret=stand.secret,
            name=stand.name,
            clock=clock,
            template_of=template_of,
            stop_share=stop_share,
            flush_seconds=flush_seconds,
        ): stand.port
        for stand, own_rng in zip(stands, rng.spawn(len(stands)), strict=True)
    }
    async with serving(simulators):
        ready({simulator.name: simulator for simulator in simulators})
        await asyncio.Event().wait()


class _Server(uvicorn.Server):
    """A server among others in one process: signals are for the program that runs them all."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self.stop = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def main_loop(self) -> None:
        await self.stop.wait()  # uvicorn's own looks ten times a second, for a date header nobody reads

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
