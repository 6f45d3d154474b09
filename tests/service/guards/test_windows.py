"""Counts within a sliding window, against a plain list of when things happened."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.guards.windows import SLOTS, SlidingCounts

WINDOW = 120.0
SLOT = WINDOW / SLOTS


def open_counts(now: list[float], keys_max: int = 100) -> SlidingCounts:
    return SlidingCounts(window_seconds=WINDOW, keys_max=keys_max, timer=lambda: now[0])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 60)), max_size=60))
def test_no_event_leaves_early_and_none_stays_a_slot_longer(steps: list[tuple[str, float]]):
    now = [1000.0]
    counts, happened = open_counts(now), []
    for key, pause in steps:
        now[0] += pause
        counts.add(key)
        happened.append((key, now[0]))

        for name in "ab":
            ages = [now[0] - at for other, at in happened if other == name]
            at_least = sum(age < WINDOW - SLOT for age in ages)
            at_most = sum(age < WINDOW + SLOT for age in ages)
            assert at_least <= counts.count(name) <= at_most


@given(st.integers(1, 5), st.lists(st.floats(0, 40), min_size=1, max_size=30))
def test_after_the_time_it_names_there_is_room(allowed: int, pauses: list[float]):
    now = [0.0]
    counts = open_counts(now)
    for pause in pauses:
        now[0] += pause
        counts.add("a")
    wait = counts.seconds_until_below("a", allowed)
    full_before = counts.count("a") >= allowed
    now[0] += wait + 0.001

    assert (wait > 0) == full_before
    assert counts.count("a") < allowed


def test_an_event_of_the_past_counts_where_it_happened():
    now = [1000.0]
    counts = open_counts(now)
    counts.add("a", age_seconds=60)
    counts.add("a", age_seconds=2 * WINDOW)

    assert counts.count("a") == 1
    assert counts.count("a", older_than_seconds=60) == 1
    assert counts.count("a", older_than_seconds=80) == 0


def test_of_too_many_keys_the_idle_go():
    now = [0.0]
    counts = open_counts(now, keys_max=2)
    for key in ("old", "busy", "old", "new"):
        counts.add(key)

    assert len(counts) == 2
    assert {key for key, _ in counts.items()} == {"old", "new"}
