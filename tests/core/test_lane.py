"""A lane does what has gathered as one batch, and keeps its callers apart."""

import asyncio
import threading

import pytest

from core.errors import Overloaded
from core.lane import Lane


@pytest.fixture
def gate():
    return threading.Event()


async def test_what_gathers_while_a_batch_runs_is_the_next_batch(gate):
    batches = []

    def work(items):
        gate.wait(5)
        batches.append(list(items))
        return items

    lane = Lane("test", work, batch_max=100, waiting_max=100)
    callers = [asyncio.create_task(lane.do(number)) for number in range(50)]
    await asyncio.sleep(0)
    gate.set()

    assert await asyncio.gather(*callers) == list(range(50))
    assert len(batches) <= 3
    lane.close()


@pytest.mark.parametrize(("batch_max", "lengths"), [(100, [50]), (20, [20, 20, 10])])
async def test_what_one_step_of_the_event_loop_brings_is_handed_in_together(batch_max: int, lengths: list[int]):
    batches = []

    def work(items):
        batches.append(len(items))
        return items

    lane = Lane("test", work, batch_max=batch_max, waiting_max=100)

    assert await asyncio.gather(*(lane.do(number) for number in range(50))) == list(range(50))
    assert batches == lengths
    lane.close()


async def test_an_exception_among_the_answers_is_its_callers_alone():
    lane = Lane(
        "test", lambda items: [ValueError("odd") if item % 2 else item for item in items], batch_max=10, waiting_max=10
    )
    odd, even = await asyncio.gather(lane.do(1), lane.do(2), return_exceptions=True)

    assert even == 2
    assert isinstance(odd, ValueError)
    lane.close()


async def test_an_exception_of_the_work_reaches_every_caller_and_the_lane_lives_on():
    failing = threading.Event()
    failing.set()

    def work(items):
        if failing.is_set():
            raise OSError("down")
        return items

    lane = Lane("test", work, batch_max=10, waiting_max=10)
    with pytest.raises(OSError, match="down"):
        await lane.do(1)
    failing.clear()

    assert await lane.do(2) == 2
    lane.close()


async def test_a_full_lane_tells_the_caller_to_come_back(gate):
    lane = Lane("test", lambda items: (gate.wait(5), items)[1], batch_max=1, waiting_max=2)
    callers = [asyncio.create_task(lane.do(number)) for number in range(10)]
    await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    accepted = [answer for answer in answers if isinstance(answer, int)]
    refused = [answer for answer in answers if isinstance(answer, Overloaded)]

    assert len(accepted) + len(refused) == 10
    assert accepted == list(range(len(accepted)))
    assert refused[0].retry_after_seconds > 0
    lane.close()


async def test_closing_finishes_what_waits_and_takes_no_more():
    lane = Lane("test", lambda items: items, batch_max=10, waiting_max=10)
    caller = asyncio.create_task(lane.do(1))
    await asyncio.sleep(0)
    lane.close()

    assert await caller == 1
    with pytest.raises(Overloaded, match="closed"):
        await lane.do(2)


async def test_who_waits_too_long_is_told_and_what_had_not_begun_is_not_done(gate):
    done = []

    def work(items):
        gate.wait(5)
        done.extend(items)
        return items

    lane = Lane("test", work, batch_max=1, waiting_max=10)
    first = asyncio.create_task(lane.do(1))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await lane.do(2, within_seconds=0.01)
    gate.set()

    assert await first == 1
    lane.close()
    assert done == [1]


async def test_what_a_caller_gave_up_before_its_batch_is_not_done(gate):
    done = []

    def work(items):
        gate.wait(5)
        done.extend(items)
        return items

    lane = Lane("test", work, batch_max=1, waiting_max=10)
    first, second = (asyncio.create_task(lane.do(number)) for number in (1, 2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    gate.set()

    assert await first == 1
    lane.close()
    assert done == [1]


def test_a_thread_hands_in_and_waits_as_well():
    lane = Lane("test", lambda items: [item or ValueError("nothing") for item in items], batch_max=10, waiting_max=10)
    one, none = lane.put(1), lane.put(0)

    assert one.result(5) == 1
    with pytest.raises(ValueError, match="nothing"):
        none.result(5)
    lane.close()


async def test_one_quick_batch_among_slow_ones_is_no_quick_lane():
    now = 0.0

    def work(items):
        nonlocal now
        now += sum(items)
        return items

    lane = Lane("test", work, batch_max=1, waiting_max=10, timer=lambda: now)
    paces = []
    for seconds in (0.1, 1.5, 0.1, *(0.2,) * 7, 0.1):
        await lane.do(seconds)
        await lane.do(0.0)  # the batch before it is measured by now
        paces.append(round(lane.pace_seconds, 3))

    assert paces[:3] == [0.1, 1.5, 1.5]
    assert paces[-1] == 0.2
    lane.close()
