"""`heliograph smoke`: a bounded number of verifications through a whole stack, then a count in every place.

Lost is what one place acknowledged and the next does not have; doubled is what a place has more often than it happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from sqlalchemy import create_engine, func, select

from core import log
from core import warehouse as door
from core.errors import WarehouseRefused
from core.warehouse import Warehouse
from sandbox.handsets import Handsets, Overheard
from sandbox.providers import Stand, build_app, serving
from sandbox.providers.simulator import Simulator
from sandbox.stack import Ports, Stack, lay_out
from sandbox.subscribers import Subscribers, Tally
from sandbox.supervisor import Supervisor
from sandbox.world import World
from service.key_chores import create_key
from service.stores.schema import TABLE_NAMES, TABLES

SEED = 7
PACE = 0.01
"""People and carriers a hundred times as quick as in life."""
DRAIN_SECONDS = 30.0
"""Longest wait for late receipts: the rarest come after hours, which at this pace is more than a minute."""
WAIT_SECONDS = 90.0
_POLL_SECONDS = 0.25
_APP = "smoke"


@dataclass(frozen=True)
class Counts:
    """What was counted. `store` is facts by table, `warehouse` events by kind, `submissions` calls by our reference."""

    tally: Tally
    store: Mapping[str, int]
    warehouse: Mapping[str, int]
    submissions: Mapping[str, int]

    @property
    def lost(self) -> int:
        """Acknowledged in one place and missing in the next."""
        store, events = self.store, self.warehouse
        pairs = (
            (self.tally.sent, store["requests"]),
            (self.tally.approved, store["approvals"]),
            (len(self.submissions), store["attempts"]),
            (store["attempts"], store["outcomes"]),
            (store["outcomes"], events["send"]),
            (store["attempts"], events["attempts"]),
            (store["receipts"], events["receipt"]),
            (store["checks"], events["verify"]),
            (store["requests"], store["encrypted_numbers"]),
        )
        return sum(max(0, there - here) for there, here in pairs)

    @property
    def duplicated(self) -> int:
        """More often in a place than it happened."""
        store, events = self.store, self.warehouse
        pairs = (
            (store["outcomes"], events["send"]),
            (store["attempts"], events["attempts"]),
            (store["receipts"], events["receipt"]),
            (store["checks"], events["verify"]),
        )
        return sum(max(0, here - there) for there, here in pairs) + sum(n - 1 for n in self.submissions.values())

    def line(self) -> str:
        """The one line that `make smoke` prints."""
        tally = self.tally
        return (
            f"sent={tally.sent} accepted={self.warehouse['accepted']} receipts={self.store['receipts']} "
            f"approved={tally.approved} facts_in_store={sum(self.store.values())} "
            f"attempts_in_clickhouse={self.warehouse['attempts']} lost={self.lost} duplicated={self.duplicated}"
        )


def run(count: int, *, store_url: str, keep: Path | None) -> int:
    """Run it; returns the exit status: 0 only when people were served, nothing was lost and nothing doubled."""
    log.configure("smoke", level="warning")
    with tempfile.TemporaryDirectory(prefix="heliograph-smoke-") as temporary:
        counts = measure(keep or Path(temporary), count, store_url=store_url)
    click.echo(counts.line())
    served = counts.tally.sent > 0 and counts.tally.approved > 0
    return 0 if served and counts.lost == 0 and counts.duplicated == 0 else 1


def measure(
    folder: Path,
    count: int,
    *,
    store_url: str = "",
    overheard: Callable[[str, str], None] = lambda _number, _text: None,
) -> Counts:
    """Start a stack in `folder`, send `count` verifications, wait until all is where it belongs, count.

    `overheard` is told every number and text that reaches a handset.
    """
    with Supervisor(folder, say=lambda line: click.echo(line, err=True)) as supervisor:
        changes: dict[str, dict[str, object]] = {"ingest": {"wait_seconds": 0.1}, "code": {"cooldown_seconds": [0]}}
        stack = lay_out(folder, Ports.pick(), store_url=store_url, changes=changes)
        for plan in stack.servers:
            supervisor.start(plan.process)
        supervisor.start(stack.plan_encryption())
        supervisor.start(stack.plan_service())
        supervisor.start(stack.plan_encryptor())
        supervisor.start(stack.plan_ingester())
        key, _ = asyncio.run(create_key(stack.settings, app=_APP, scopes=frozenset({"send", "read"}), label="smoke"))
        return asyncio.run(_traffic(stack, supervisor, key, count, overheard))


async def _traffic(
    stack: Stack, supervisor: Supervisor, key: str, count: int, overheard: Callable[[str, str], None]
) -> Counts:
    world = World(seed=SEED, pace=PACE)
    handsets = Overheard(overheard)
    simulators = {_simulator(stack, stand, world, handsets): stand.port for stand in stack.stands}
    async with (
        serving(simulators),
        Subscribers(world, api_url=stack.api_url, keys={_APP: key}, handsets=handsets) as subscribers,
    ):
        click.echo(f"  {count} people ask for a code", err=True)
        tally = await subscribers.send_and_verify(count)
        click.echo(f"  {tally.line()}", err=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await asyncio.gather(*(simulator.drain() for simulator in simulators))
        supervisor.check()
        submissions = {reference: n for simulator in simulators for reference, n in simulator.counts().items()}
        return await _when_still(stack, tally, submissions)


def _simulator(stack: Stack, stand: Stand, world: World, handsets: Handsets) -> Simulator:
    return build_app(
        stand.kind,
        world=world,
        rng=world.rng(3, stand.port),
        handsets=handsets,
        callback_url=stack.api_url,
        account=stand.account,
        secret=stand.secret,
        flush_seconds=0.1,
    )


async def _when_still(stack: Stack, tally: Tally, submissions: Mapping[str, int]) -> Counts:
    """The counts, once nothing is missing any more, or as they are after `WAIT_SECONDS`."""
    warehouse = door.connect(stack.settings.warehouse)
    store_url = stack.settings.store.url.get_secret_value()
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                counts = Counts(tally, _in_store(store_url), _in_warehouse(warehouse), submissions)
                if counts.lost == 0:
                    return counts
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        return counts
    finally:
        warehouse.close()


def _in_store(url: str) -> dict[str, int]:
    engine = create_engine(url, hide_parameters=True)
    with engine.connect() as connection:
        found = {
            name: connection.execute(select(func.count()).select_from(TABLES[kind])).scalar_one()
            for kind, name in TABLE_NAMES.items()
        }
    engine.dispose()
    return found


def _in_warehouse(warehouse: Warehouse) -> dict[str, int]:
    counted = {"attempts": "attempts", "send": "send_events", "receipt": "receipt_events", "verify": "verify_events"}
    try:
        found = {
            name: int(warehouse.query_rows(f"SELECT count() FROM {table} FINAL")[0][0])
            for name, table in counted.items()
        }
        found["accepted"] = int(warehouse.query_rows("SELECT countIf(accepted) FROM attempts FINAL")[0][0])
    except WarehouseRefused:
        return dict.fromkeys([*counted, "accepted"], 0)  # ingest has not made the tables yet
    return found
