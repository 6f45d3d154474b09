"""A day is what the clocks on the wall say, also when they are changed."""

from datetime import UTC, date, datetime

from reports.spans import Day


def test_a_day_begins_at_midnight_of_its_zone():
    day = Day(date(2026, 11, 23), "Asia/Shanghai")

    assert (day.start, day.end) == (datetime(2026, 11, 22, 16, tzinfo=UTC), datetime(2026, 11, 23, 16, tzinfo=UTC))


def test_the_days_on_which_summer_time_begins_and_ends_have_23_and_25_hours():
    spring, autumn = Day(date(2026, 3, 29), "Europe/Berlin"), Day(date(2026, 10, 25), "Europe/Berlin")

    assert [(day.end - day.start).total_seconds() / 3600 for day in (spring, autumn)] == [23, 25]


def test_a_moment_belongs_to_the_day_its_zone_has_then():
    moment = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)

    assert [Day.of(moment, zone).date.day for zone in ("UTC", "Asia/Shanghai")] == [23, 24]


def test_an_hour_that_summer_time_skips_still_comes():
    assert Day(date(2026, 3, 29), "Europe/Berlin").at(2) == datetime(2026, 3, 29, 1, tzinfo=UTC)
