"""A timer that stands still while nobody listens, and waits that go by it; the loop's time is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from core.attention import STRETCH_MAX, TICK_SECONDS, WORTH_SECONDS, Attention, Expiry, within
from core.clock import ManualTimer


class Hands:
    """A loop that comes to what is due when it is told to: on time, or held up until later."""

    class Later:
        def __init__(self, due_at: float, callback: Callable[[], None]) -> None:
            self.due_at, self.callback, self.cancelled = due_at, callback, False

        def cancel(self) -> None:
            self.cancelled = True

    def __init__(self) -> None:
        self.timer = ManualTimer()
        self.attention = Attention(self.timer)
        self.attention.tick()
        self.waiting: list[Hands.Later] = []
        self.expired_at: list[float] = []

    def time(self) -> float:
        return self.timer.now

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Hands.Later:
        later = self.Later(self.timer.now + delay, callback)
        self.waiting.append(later)
        return later

    def work(self, *, seconds: float) -> None:
        """Time passes, and the loop comes by at every tick."""
        for _ in range(round(seconds / TICK_SECONDS)):
            self.hold_up(seconds=TICK_SECONDS)

    def hold_up(self, *, seconds: float) -> None:
        """Time passes, and the loop comes by only then."""
        self.timer.advance(seconds=seconds)
        for later in [later for later in self.waiting if later.due_at <= self.timer.now + 1e-9]:
            self.waiting.remove(later)
            if not later.cancelled:
                later.callback()
        self.attention.tick()

    def expiry(self, seconds: float, **options: float) -> Expiry:
        return Expiry(
            seconds,
            lambda: self.expired_at.append(round(self.timer.now, 3)),
            loop=self,
            listened=self.attention,
            **options,
        )


@pytest.fixture
def hands() -> Hands:
    return Hands()


def test_it_is_the_timer_it_is_made_of_while_the_loop_comes_in_time(hands: Hands):
    hands.work(seconds=5.0)

    assert hands.attention() == pytest.approx(5.0)


def test_it_stands_still_while_the_loop_is_held_up(hands: Hands):
    hands.timer.advance(seconds=3.0)  # and another thread asks meanwhile
    meanwhile = hands.attention()
    hands.attention.tick()

    assert meanwhile == hands.attention() == pytest.approx(WORTH_SECONDS)


def test_before_the_first_tick_it_measures_by_the_wall():
    timer = ManualTimer()
    attention = Attention(timer)
    timer.advance(seconds=7.0)

    assert attention() == 7.0


def test_a_wait_ends_after_its_time_where_nothing_holds_up(hands: Hands):
    hands.expiry(1.0)
    hands.work(seconds=3.0)

    assert hands.expired_at == [pytest.approx(1.0)]


def test_a_wait_is_longer_by_what_the_loop_was_held_up(hands: Hands):
    hands.expiry(1.0)
    hands.work(seconds=0.5)
    hands.hold_up(seconds=1.1)
    hands.work(seconds=2.0)

    assert hands.expired_at == [pytest.approx(0.5 + 1.1 - WORTH_SECONDS + 0.5, abs=TICK_SECONDS)]


def test_what_arrived_while_the_loop_was_held_up_is_looked_at_before_the_wait_ends(hands: Hands):
    hands.expiry(0.05)
    hands.hold_up(seconds=0.11)  # worth more than the wait
    before = list(hands.expired_at)
    hands.work(seconds=0.1)

    assert (before, hands.expired_at) == ([], [pytest.approx(0.16)])


def test_nobody_waits_for_ever_for_a_process_that_is_always_held_up(hands: Hands):
    hands.expiry(1.0)
    for _ in range(5):
        hands.hold_up(seconds=1.0)

    assert hands.expired_at == [STRETCH_MAX]


def test_a_wait_that_was_cancelled_does_not_end(hands: Hands):
    hands.expiry(1.0).cancel()
    hands.work(seconds=2.0)

    assert hands.expired_at == []


def test_that_much_time_was_lost_is_logged_once_in_a_while(hands: Hands):
    with capture_logs() as logs:
        hands.work(seconds=11.0)
        hands.hold_up(seconds=5.0)
        hands.work(seconds=21.0)

    assert [(row["event"], row["seconds"]) for row in logs] == [("held up", 4.9)]


async def test_a_block_that_takes_longer_is_ended():
    with pytest.raises(TimeoutError):
        async with within(0.01, listened=Attention()):
            await asyncio.Event().wait()
