"""Ids carry their time and never run backwards."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.ids import RequestIds, event_id, time_of

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_an_id_is_a_uuid7_that_tells_its_millisecond():
    clock = ManualClock(START + timedelta(milliseconds=123))
    made = RequestIds(clock)()

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert time_of(made) == START + timedelta(milliseconds=123)


@given(st.lists(st.integers(-3_600_000, 3_600_000), max_size=50))
def test_ids_stay_unique_and_ordered_whatever_the_clock_does(steps_ms):
    clock = ManualClock(START)
    ids = RequestIds(clock)
    made = [ids()]
    for step in steps_ms:
        clock.advance(seconds=step / 1000)
        made += [ids() for _ in range(3)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_more_ids_in_a_millisecond_than_the_counter_holds_borrow_from_the_next():
    ids = RequestIds(ManualClock(START))
    made = [ids() for _ in range(5_000)]

    assert made == sorted(made)
    assert time_of(made[-1]) <= START + timedelta(milliseconds=1)


def test_the_parts_of_a_key_do_not_run_together():
    assert event_id("send", "a", 1) != event_id("send", "a1")
