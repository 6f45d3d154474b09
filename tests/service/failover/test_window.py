"""What counts towards failover: fatal errors, once an incident, within the window."""

from __future__ import annotations

import pytest

from core.clock import ManualClock, ManualTimer
from service.failover.window import FailureWindow, Stretch
from service.stores.faults import FaultClass, StoreFault
from tests.service.stores.facts import NOW


@pytest.fixture
def timer() -> ManualTimer:
    return ManualTimer()


@pytest.fixture
def window(timer: ManualTimer) -> FailureWindow:
    return FailureWindow(window_seconds=10, failures_max=3, timer=timer)


def failure(fault: FaultClass = FaultClass.FATAL) -> StoreFault:
    return StoreFault("down", fault=fault)


def test_enough_failures_close_together_fill_it(window: FailureWindow, timer: ManualTimer):
    for _ in range(3):
        assert not window.is_full
        window.add(failure())
        timer.advance(seconds=3)

    assert window.is_full


def test_failures_far_from_each_other_do_not(window: FailureWindow, timer: ManualTimer):
    for _ in range(10):
        window.add(failure())
        timer.advance(seconds=5)

    assert window.is_suspicious
    assert not window.is_full


def test_one_failed_transaction_counts_once_however_many_shared_it(window: FailureWindow):
    first = failure()
    for _ in range(64):
        window.add(first.again())

    assert window.is_suspicious
    assert not window.is_full


@pytest.mark.parametrize(
    ("fault", "count"), [(FaultClass.FATAL, 3), (FaultClass.CREDENTIALS, 3), (FaultClass.SATURATED, 6)]
)
def test_each_class_has_its_weight(window: FailureWindow, fault: FaultClass, count: int):
    for _ in range(count - 1):
        window.add(failure(fault))

    assert not window.is_full

    window.add(failure(fault))

    assert window.is_full


@pytest.mark.parametrize("fault", [FaultClass.TRANSIENT, FaultClass.DATA])
def test_contention_and_mistakes_of_callers_never_count(window: FailureWindow, fault: FaultClass):
    for _ in range(100):
        window.add(failure(fault))

    assert not window.is_suspicious


def test_a_stretch_lasts_by_the_timer_whatever_the_clock_does(timer: ManualTimer):
    clock = ManualClock(NOW)
    well = Stretch(clock=clock, timer=timer)
    assert well.seconds == 0

    well.hold()
    clock.advance(seconds=-3600)
    timer.advance(seconds=4)
    well.hold()

    assert (well.seconds, well.since) == (4, NOW)

    well.end()

    assert (well.seconds, well.since) == (0, None)
