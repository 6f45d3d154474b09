"""Live traffic in one process: the four simulated providers, and the people whose handsets they reach.

What to run is read from a file, because it holds keys, which belong neither into an argument list nor into an
environment. It runs until a signal, and ends at once and aloud when one of its parts fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import click
import msgspec
import structlog

from core import log
from core.clock import utc_now
from core.errors import ConfigurationError
from core.mail import SmtpMailer
from core.settings.servers import Mail as MailSettings
from sandbox.handsets import Handsets
from sandbox.own_handset import show_in_mailbox
from sandbox.providers import Simulator, Stand, serve_all
from sandbox.subscribers import Subscribers
from sandbox.world import NAMED_FAULTS, World, named_fault
from sandbox.world.traffic import STOPS_PER_MESSAGE

_log = structlog.get_logger(__name__)

TALLY_SECONDS = 60.0
_PROVIDERS_STREAM = 3


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to run. `keys` maps apps to API keys; `fault` is one of `NAMED_FAULTS`, broken from `fault_from` on; texts to
    `own_number` (E.164) go to the mailbox at `smtp_port`."""

    api_url: str
    keys: dict[str, str]
    stands: list[Stand]
    seed: int
    rate_per_minute: float
    fault: str = ""
    fault_from: datetime | None = None
    pace: float = 1.0
    own_number: str = ""
    smtp_port: int = 0


def read_order(path: Path) -> Order:
    """The order in a file. Raises `ConfigurationError`, which repeats no value of it."""
    try:
        order = msgspec.json.decode(path.read_bytes(), type=Order)
    except OSError as error:
        raise ConfigurationError(f"the order {path} cannot be read: {error.strerror}") from None
    except msgspec.MsgspecError:
        raise ConfigurationError(f"the order {path} is not one of this version") from None
    if order.fault and order.fault not in NAMED_FAULTS:
        raise ConfigurationError("there is no such fault", hint=f"there are {', '.join(NAMED_FAULTS)}")
    return order


async def run_traffic(order: Order, *, tally_seconds: float = TALLY_SECONDS) -> None:
    """Serve the providers and send traffic until cancelled. Raises `OSError` when a port is taken."""
    faults = [named_fault(order.fault, start=order.fault_from or utc_now())] if order.fault else []
    world = World(seed=order.seed, faults=faults, pace=order.pace)
    handsets = Handsets()
    ready = asyncio.Event()

    def are_ready(_: Mapping[str, Simulator]) -> None:
        _log.info("traffic runs", providers=len(order.stands), rate_per_minute=round(order.rate_per_minute, 1))
        ready.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(
            serve_all(
                order.stands,
                world=world,
                rng=world.rng(_PROVIDERS_STREAM),
                handsets=handsets,
                callback_url=order.api_url,
                stop_share=STOPS_PER_MESSAGE,
                ready=are_ready,
            )
        )
        group.create_task(_send(order, world, handsets, ready, tally_seconds))
        if order.own_number:
            mailer = SmtpMailer(MailSettings(port=order.smtp_port))
            group.create_task(show_in_mailbox(order.own_number, handsets=handsets, mailer=mailer))


async def _send(order: Order, world: World, handsets: Handsets, ready: asyncio.Event, tally_seconds: float) -> None:
    await ready.wait()
    async with (
        Subscribers(world, api_url=order.api_url, keys=order.keys, handsets=handsets) as people,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(people.run(rate_per_minute=order.rate_per_minute))
        group.create_task(_tell(people, tally_seconds))


async def _tell(people: Subscribers, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        _log.info("traffic so far", tally=people.tally.line())


async def _until_signal(order: Order) -> None:
    running = asyncio.create_task(run_traffic(order))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


@click.command()
@click.option(
    "--order",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File that says what to run.",
)
def main(path: Path) -> None:
    """Run the simulated providers and the people who use the product."""
    log.configure("traffic")
    try:
        order = read_order(path)
    except ConfigurationError as error:
        raise click.ClickException(f"{error} {error.hint}".strip()) from None
    asyncio.run(_until_signal(order))


if __name__ == "__main__":
    main()
