"""Data that stops is an alert that says where to look; a quiet night is none."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.errors import QueueUnavailable, WarehouseUnavailable
from core.queue import StreamState
from metrics.detection.words import Word, say
from reports.watch.silence import SilenceWatch
from tests.metrics.story import START, tell
from tests.reports.crowd import crowd

LAST = START + timedelta(seconds=599)


class Queue:
    """Says what it is told."""

    def __init__(self) -> None:
        self.pending = 0
        self.up = True

    def __call__(self) -> StreamState:
        if not self.up:
            raise QueueUnavailable("NATS at 127.0.0.1 does not answer")
        return StreamState(messages=self.pending, bytes=0, pending=self.pending)


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def watch(alerts, queue) -> SilenceWatch:
    return SilenceWatch(alerts, queue_state=queue, silence_minutes=10)


@pytest.fixture
def busy(warehouse):
    """Ten minutes of traffic today, and the hour around them yesterday and the day before."""
    tell(warehouse, crowd("now", sent=600, accepted=600, delivered=600, approved=1))
    for days in (-1, -2):
        tell(warehouse, crowd("past", sent=3600, accepted=3600, delivered=1, approved=1, days=days))
    return warehouse


def look(watch, warehouse, alerts, clock, *, minutes: float) -> None:
    clock.now = LAST + timedelta(minutes=minutes)
    watch.look(warehouse, now=clock.now)
    alerts.deliver()


def test_it_is_not_over_while_nothing_comes_because_less_is_expected(watch, warehouse, alerts, kept, clock):
    tell(warehouse, crowd("now", sent=600, accepted=600, delivered=600, approved=1))
    tell(warehouse, crowd("past", sent=612, accepted=612, delivered=1, approved=1, days=-1))
    tell(warehouse, crowd("first", sent=2, accepted=2, delivered=1, approved=1, days=-2, hours=0.4))
    look(watch, warehouse, alerts, clock, minutes=11)
    look(watch, warehouse, alerts, clock, minutes=21)

    assert [told.alert.event for told in kept.taken] == ["opened"]


def test_one_attempt_dated_in_the_future_hides_no_silence(watch, busy, alerts, kept, clock):
    tell(busy, crowd("ahead", sent=1, accepted=1, delivered=0, approved=0, days=30))

    look(watch, busy, alerts, clock, minutes=11)

    assert len(kept.taken) == 1


def test_traffic_that_flows_is_no_alert(watch, busy, alerts, kept, clock):
    look(watch, busy, alerts, clock, minutes=9)

    assert kept.taken == []


@pytest.mark.parametrize(
    ("pending", "up", "component"), [(0, True, "service"), (1200, True, "ingester"), (0, False, "queue")]
)
def test_data_that_stops_is_told_with_the_place_to_look_at(
    watch, busy, alerts, kept, clock, queue, pending, up, component
):
    queue.pending, queue.up = pending, up
    for minutes in (11, 12, 13):
        look(watch, busy, alerts, clock, minutes=minutes)

    (told,) = kept.taken
    assert told.alert.labels == {"component": component}
    assert "11 minutes old; in the same minutes of the days before there were 660" in told.alert.text
    assert told.alert.steps


def test_it_is_over_when_data_comes_again(watch, busy, alerts, kept, clock):
    look(watch, busy, alerts, clock, minutes=11)
    tell(busy, crowd("again", sent=5, accepted=5, delivered=5, approved=5, hours=0.36))
    look(watch, busy, alerts, clock, minutes=13)
    look(watch, busy, alerts, clock, minutes=14)

    assert [told.alert.event for told in kept.taken] == ["opened", "resolved"]
    assert kept.taken[0].thread == kept.taken[1].thread


def test_another_cause_is_an_update(watch, busy, alerts, kept, clock, queue):
    queue.up = False
    look(watch, busy, alerts, clock, minutes=11)
    queue.up, queue.pending = True, 7
    look(watch, busy, alerts, clock, minutes=12)

    assert [told.alert.title for told in kept.taken] == [
        "No data: the queue does not answer",
        "No data: the ingester takes nothing",
    ]


def test_an_hour_in_which_nobody_ever_sends_is_no_silence(watch, warehouse, alerts, kept, clock):
    tell(warehouse, crowd("now", sent=600, accepted=600, delivered=600, approved=1))
    for days in (-1, -2):
        tell(warehouse, crowd("past", sent=605, accepted=605, delivered=1, approved=1, days=days))
    look(watch, warehouse, alerts, clock, minutes=60)

    assert kept.taken == []


def test_a_new_system_without_a_past_is_no_silence(watch, warehouse, alerts, kept, clock):
    look(watch, warehouse, alerts, clock, minutes=60)

    assert kept.taken == []


def test_a_maintenance_window_over_everything_keeps_it_quiet(watch, busy, alerts, kept, clock):
    say(
        busy,
        Word("maintenance", "ops", "upgrade", start=START, end=START + timedelta(hours=2)),
        now=START,
    )
    look(watch, busy, alerts, clock, minutes=11)

    assert kept.taken == []


def test_a_warehouse_that_does_not_answer_for_long_is_an_alert_and_then_over(watch, busy, alerts, kept, clock):
    error = WarehouseUnavailable("ClickHouse at 127.0.0.1 does not answer")
    for minutes in (0, 5, 11, 12):
        clock.now = LAST + timedelta(minutes=minutes)
        watch.unanswered(error, now=clock.now)
    tell(busy, crowd("again", sent=5, accepted=5, delivered=5, approved=5, hours=0.36))
    look(watch, busy, alerts, clock, minutes=13)
    alerts.deliver()

    assert [(told.alert.event, told.alert.labels["component"]) for told in kept.taken] == [
        ("opened", "warehouse"),
        ("resolved", "warehouse"),
    ]
