"""A store that is up for a moment and down for a moment, again and again, changes the status once."""

from __future__ import annotations

import pytest

from core.clock import ManualTimer
from service.failover import Status
from service.stores.memory import MemoryStore
from tests.service.failover.twins import Make, Twins
from tests.service.stores import facts
from tests.support.until import until

TURNS = 20
PROBE_SECONDS = 0.02


class Flapping(MemoryStore):
    """Up for two probes, down for two; `timer` tells that each comes on time, however late the machine is."""

    def __init__(self, *, as_mirror: bool = False) -> None:
        super().__init__(as_mirror=as_mirror)
        self.timer = ManualTimer()
        self.probes = 0
        self.flaps = False

    async def probe(self) -> None:
        if self.flaps:
            self.probes += 1
            self.timer.advance(seconds=PROBE_SECONDS)
            self.available = self.probes % 4 > 1
        await super().probe()


@pytest.mark.parametrize("automatic", [True, False])
async def test_a_primary_store_that_flaps_is_called_down_once(make: Make, twins: Twins, automatic: bool):
    twins.primary = Flapping()
    failover = await make(automatic_recovery=automatic)
    twins.primary.flaps, twins.primary.available = True, False
    for _ in range(3):
        await failover.write([facts.request()])
    await until(lambda: twins.primary.probes > 4 * TURNS)

    assert twins.changes == [(Status.HEALTHY, Status.MYSQL_FATAL)]


async def test_a_backup_that_flaps_is_called_down_once(make: Make, twins: Twins):
    twins.backup = Flapping(as_mirror=True)
    failover = await make()
    twins.backup.flaps, twins.backup.available = True, False
    for _ in range(3):
        await failover.write([facts.request()])
    await until(lambda: twins.backup.probes > 4 * TURNS)

    assert twins.changes == [(Status.HEALTHY, Status.REDIS_FATAL)]


@pytest.mark.parametrize("which", ["primary", "backup"])
async def test_with_both_down_one_that_flaps_is_not_used(make: Make, twins: Twins, which: str):
    twins.primary, twins.backup = Flapping(), Flapping(as_mirror=True)
    flapping = getattr(twins, which)
    failover = await make(probe_seconds=PROBE_SECONDS, timer=flapping.timer)
    twins.primary.available = twins.backup.available = False
    for _ in range(3):
        await failover.write([facts.request()])
    await until(lambda: failover.status is Status.BOTH_FATAL)
    known = len(twins.changes)
    flapping.flaps = True
    await until(lambda: flapping.probes > 4 * TURNS)

    assert twins.changes[known:] == []
