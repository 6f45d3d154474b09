"""That a store is silent is found out without calls, and neither a slow one nor our own slowness is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.clock import utc_now
from core.errors import Unavailable
from core.settings.servers import Failover as FailoverSettings
from service.failover import Status
from service.failover.pulse import Pulse
from service.failover.state import State
from service.stores.faults import FaultClass, StoreFault, StoreLate
from service.stores.memory import MemoryStore
from tests.service.failover.twins import Make, Twins
from tests.support.until import until


class Patient(MemoryStore):
    """Answers questions as it is told, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.stuck_seconds = 0, 0.0
        self.answer: Unavailable | None = None

    @property
    def stalled_seconds(self) -> float:
        return self.stuck_seconds

    async def pulse(self) -> None:
        self.asked += 1
        if self.answer is not None:
            raise self.answer


class Bench:
    """A pulse whose time is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.primary = Patient()
        settings = FailoverSettings(probe_seconds=1.0)
        self.state = State(
            settings, folder=folder, clock=utc_now, timer=lambda: self.now, on_notice=lambda _notice: None
        )
        self.pulse = Pulse(self.primary, self.state, settings, timer=lambda: self.now)

    async def after(self, seconds: float) -> None:
        self.now += seconds
        await self.pulse.look()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def late() -> StoreLate:
    return StoreLate("the store is silent", fault=FaultClass.FATAL)


async def test_it_asks_as_often_as_stores_are_probed(bench: Bench):
    for _ in range(8):
        await bench.after(0.25)

    assert bench.primary.asked == 2


async def test_it_asks_at_once_while_a_batch_is_stuck(bench: Bench):
    bench.primary.stuck_seconds = 0.6
    await bench.after(0.25)

    assert bench.primary.asked == 1
    assert bench.state.status is Status.HEALTHY


async def test_two_questions_in_a_row_without_an_answer_are_the_end(bench: Bench):
    bench.primary.answer = late()
    await bench.after(1.0)
    after_one = bench.state.status
    await bench.after(0.25)

    assert (after_one, bench.state.status) == (Status.HEALTHY, Status.MYSQL_FATAL)


async def test_an_answer_between_them_begins_anew(bench: Bench):
    for answer in (late(), None, late()):
        bench.primary.answer = answer
        await bench.after(1.0)

    assert bench.state.status is Status.HEALTHY


async def test_a_refusal_counts_as_any_other_failure(bench: Bench):
    for number in range(3):
        bench.primary.answer = StoreFault("refused", fault=FaultClass.FATAL)
        before = bench.state.status
        await bench.after(1.0)

        assert before is Status.HEALTHY, number
    assert bench.state.status is Status.MYSQL_FATAL


async def test_a_store_that_is_called_down_is_left_to_the_watch(bench: Bench):
    bench.state.primary_fatal("a test said so")
    await bench.after(5.0)

    assert bench.primary.asked == 0


async def test_a_killed_store_is_noticed_though_nobody_calls(make: Make, twins: Twins):
    failover = await make()
    twins.primary.available = False

    await until(lambda: failover.status is Status.MYSQL_FATAL)
