"""A number that tells instances apart: never the same for two in one period, and kept over restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.clock import ManualClock
from service.failover.makers import PERIOD_SECONDS, Maker
from service.failover.presumption import MAKERS
from service.stores.memory import MemoryStore
from tests.service.stores.facts import NOW


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


async def test_each_instance_has_a_number_of_its_own_and_those_beyond_have_none(tmp_path: Path, clock: ManualClock):
    store = MemoryStore()
    makers = [Maker(tmp_path / str(number), clock=clock) for number in range(MAKERS + 2)]
    for maker in makers:
        await maker.renew(store.claim)
    numbers = [maker.number(clock()) for maker in makers]
    clock.advance(seconds=PERIOD_SECONDS)
    later = [maker.number(clock()) for maker in makers]

    assert numbers == later == [*range(MAKERS), None, None]


async def test_a_number_counts_in_its_period_alone_and_survives_a_restart(tmp_path: Path, clock: ManualClock):
    store = MemoryStore()
    await Maker(tmp_path, clock=clock).renew(store.claim)
    again = Maker(tmp_path, clock=clock)
    again.load()
    other = Maker(tmp_path / "other", clock=clock)
    await other.renew(store.claim)

    assert (again.number(clock()), other.number(clock())) == (0, 1)

    clock.advance(seconds=2 * PERIOD_SECONDS)

    assert (again.number(clock()), other.number(clock())) == (None, None)


async def test_a_disk_that_does_not_keep_the_number_gives_none(tmp_path: Path, clock: ManualClock):
    (tmp_path / "file").write_bytes(b"")
    maker = Maker(tmp_path / "file", clock=clock)
    with pytest.raises(OSError, match="file"):
        await maker.renew(MemoryStore().claim)

    assert maker.number(clock()) is None
