"""Ranges and buckets: everyone within a step asks the same, and no line has more points than can be read."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import timeframe
from app.timeframe import AUTO, POINTS_AUTO, POINTS_MAX, PRESETS, Window
from metrics.query import BUCKETS

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)

FIRST, LAST = (datetime(2026, month, day, tzinfo=UTC).replace(tzinfo=None) for month, day in ((1, 1), (12, 31)))

moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))
spans = st.timedeltas(timedelta(minutes=1), timeframe.SPAN_MAX)


def window(span: timedelta) -> Window:
    return timeframe.fixed(NOON, NOON + span)


@pytest.mark.parametrize("preset", PRESETS)
def test_all_moments_of_a_step_have_the_same_window(preset: str) -> None:
    step = timeframe.moving(preset, NOON).step_seconds

    assert timeframe.moving(preset, NOON) == timeframe.moving(preset, NOON + timedelta(seconds=step - 0.001))
    assert timeframe.moving(preset, NOON) != timeframe.moving(preset, NOON + timedelta(seconds=step))


@given(spans, st.sampled_from([AUTO, *BUCKETS]), st.integers(0, 10**9))
def test_no_line_has_more_points_than_the_most(span: timedelta, wanted: str, volume: int) -> None:
    used, said = timeframe.choose_bucket(window(span), wanted, volume=volume)

    assert timeframe.points(window(span), used) <= POINTS_MAX
    assert bool(said) == (wanted not in (AUTO, used))


@pytest.mark.parametrize(
    ("preset", "bucket"), [("1h", "1m"), ("6h", "5m"), ("24h", "15m"), ("7d", "1h"), ("30d", "6h")]
)
def test_much_traffic_gets_the_finest_bucket_that_can_be_read(preset: str, bucket: str) -> None:
    shown = timeframe.moving(preset, NOON)

    assert bucket == timeframe.auto_bucket(shown, volume=10**8)
    assert timeframe.points(shown, bucket) <= POINTS_AUTO


@pytest.mark.parametrize(("preset", "bucket"), [("1h", "5m"), ("6h", "15m"), ("24h", "1h"), ("7d", "6h")])
def test_little_traffic_gets_coarser_buckets_but_still_a_line(preset: str, bucket: str) -> None:
    assert bucket == timeframe.auto_bucket(timeframe.moving(preset, NOON), volume=10)


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(0), "empty"),
        (timedelta(hours=-1), "before it begins"),
        (timedelta(days=401), "longer than 400 days"),
        (timedelta(days=1), ""),
    ],
)
def test_a_range_that_cannot_be_shown_says_why(span: timedelta, said: str) -> None:
    problem = timeframe.problem(window(span))

    assert said in problem
    assert bool(said) == bool(problem)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"])
@given(at=moments)
def test_a_day_begins_at_midnight_of_the_zone(zone: str, at: datetime) -> None:
    begins = timeframe.floor(at, "1d", zone)

    assert begins.astimezone(ZoneInfo(zone)).time() == time(0)
    assert timedelta(0) <= at - begins < timedelta(hours=25)


@given(
    at=moments,
    bucket=st.sampled_from([name for name in BUCKETS if name != "1d"]),
)
def test_a_bucket_begins_at_or_before_its_moments_and_within_its_length(at: datetime, bucket: str) -> None:
    begins = timeframe.floor(at, bucket, "Europe/Berlin")

    # The bucket that holds the change of the clock is an hour longer.
    assert timedelta(0) <= at - begins < timedelta(seconds=BUCKETS[bucket] + 3600)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_ends_at_midnight_however_long_it_is(day: str, hours: int) -> None:
    begins = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)

    assert timeframe.next_bucket(begins, "1d", "Europe/Berlin") == begins + timedelta(hours=hours)


def test_the_days_of_a_window_begin_at_their_midnights_also_where_one_has_25_hours() -> None:
    zone = ZoneInfo("Europe/Berlin")
    days = [datetime(2026, 10, day, tzinfo=zone).astimezone(UTC) for day in (24, 25, 26, 27)]

    assert timeframe.fixed(days[0] + timedelta(hours=5), days[-1]).begins("1d", "Europe/Berlin") == days[:-1]


def test_the_comparison_is_the_same_span_a_week_before() -> None:
    shown = timeframe.moving("24h", NOON)

    assert shown.span == shown.earlier(timeframe.WEEK).span
    assert timedelta(days=7) == shown.start - shown.earlier(timeframe.WEEK).start
