"""What counts towards failover: fatal errors, once an incident, within the window."""

from __future__ import annotations

import pytest

from core.clock import ManualClock
from service.failover.window import FailureWindow
from service.stores.faults import FaultClass, StoreFault
from tests.service.stores.facts import NOW


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def window(clock: ManualClock) -> FailureWindow:
    return FailureWindow(window_seconds=10, failures_max=3, clock=clock)


def failure(fault: FaultClass = FaultClass.FATAL) -> StoreFault:
    return StoreFault("down", fault=fault)


def test_enough_failures_close_together_fill_it(window: FailureWindow, clock: ManualClock):
    for _ in range(3):
        assert not window.is_full
        window.add(failure())
        clock.advance(seconds=3)

    assert window.is_full


def test_failures_far_from_each_other_do_not(window: FailureWindow, clock: ManualClock):
    for _ in range(10):
        window.add(failure())
        clock.advance(seconds=5)

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


def test_a_clock_that_steps_back_leaves_no_failure_that_never_grows_old(window: FailureWindow, clock: ManualClock):
    for _ in range(2):
        window.add(failure())
    clock.advance(seconds=-3600)
    window.add(failure())
    clock.advance(seconds=11)

    assert not window.is_suspicious
