"""A day is what the clocks on the wall say, also when they are changed."""

from datetime import UTC, date, datetime

from reports.spans import Day, Month, last_over, span_of


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


def test_weeks_and_months_are_held_against_the_one_before_and_an_earlier_one():
    day = Day(date(2026, 3, 4), "Europe/Berlin")
    week, month = span_of("weekly", day), span_of("monthly", day)

    assert (week.date, week.previous.date, week.earlier.date) == (
        date(2026, 3, 2), date(2026, 2, 23), date(2026, 2, 2),
    )  # fmt: skip
    assert (month.date, month.previous.date, month.earlier.date) == (
        date(2026, 3, 1), date(2026, 2, 1), date(2025, 3, 1),
    )  # fmt: skip


def test_a_month_in_which_clocks_change_is_whole():
    march = Month(date(2026, 3, 1), "Europe/Berlin")

    assert (march.end - march.start).total_seconds() / 3600 == 31 * 24 - 1


def test_the_last_week_and_month_that_are_over():
    moment = datetime(2026, 3, 2, 7, tzinfo=UTC)  # a Monday

    assert last_over("weekly", moment, "UTC").date == date(2026, 2, 23)
    assert last_over("monthly", moment, "UTC").date == date(2026, 2, 1)
