"""A lane does what has gathered as one batch, and keeps its callers apart."""

import threading

import pytest

from core.errors import Overloaded
from core.lane import Lane


@pytest.fixture
def gate():
    return threading.Event()


def test_what_gathers_while_a_batch_runs_is_the_next_batch(gate):
    batches = []

    def work(items):
        gate.wait(5)
        batches.append(list(items))
        return items

    lane = Lane("test", work, batch_max=100, waiting_max=100)
    first = lane.put(0)
    rest = [lane.put(number) for number in range(1, 50)]
    gate.set()
    answers = [first.result(5), *(future.result(5) for future in rest)]
    lane.close()

    assert answers == list(range(50))
    assert len(batches) <= 3


def test_an_exception_among_the_answers_is_its_callers_alone():
    lane = Lane(
        "test", lambda items: [ValueError("odd") if item % 2 else item for item in items], batch_max=10, waiting_max=10
    )
    odd, even = lane.put(1), lane.put(2)

    assert even.result(5) == 2
    with pytest.raises(ValueError, match="odd"):
        odd.result(5)
    lane.close()


def test_an_exception_of_the_work_reaches_every_caller_and_the_lane_lives_on():
    failing = threading.Event()
    failing.set()

    def work(items):
        if failing.is_set():
            raise OSError("down")
        return items

    lane = Lane("test", work, batch_max=10, waiting_max=10)
    with pytest.raises(OSError, match="down"):
        lane.put(1).result(5)
    failing.clear()

    assert lane.put(2).result(5) == 2
    lane.close()


def test_a_full_lane_tells_the_caller_to_come_back(gate):
    lane = Lane("test", lambda items: (gate.wait(5), items)[1], batch_max=1, waiting_max=2)
    accepted = []

    def fill():
        for number in range(10):
            accepted.append(lane.put(number))

    with pytest.raises(Overloaded) as refused:
        fill()
    gate.set()

    assert refused.value.retry_after_seconds > 0
    assert [future.result(5) for future in accepted] == list(range(len(accepted)))
    lane.close()


def test_closing_finishes_what_waits_and_takes_no_more():
    lane = Lane("test", lambda items: items, batch_max=10, waiting_max=10)
    future = lane.put(1)
    lane.close()

    assert future.result(0) == 1
    with pytest.raises(Overloaded, match="closed"):
        lane.put(2)


async def test_the_event_loop_waits_without_being_blocked():
    lane = Lane("test", lambda items: [item * 2 for item in items], batch_max=10, waiting_max=10)

    assert await lane.do(21) == 42
    lane.close()
