"""The link of a page: what is written is read back, and what nobody knows is left out in words."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import filters
from app.filters import View
from core.events import DIMENSIONS
from metrics.catalogue import METRICS
from metrics.query import BUCKETS
from metrics.values import Values

NOW = datetime(2026, 3, 4, 12, 0, 7, tzinfo=UTC)

names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20).filter(
    lambda name: name != filters.UNKNOWN
)
moments = st.datetimes(NOW.replace(year=2020, tzinfo=None), NOW.replace(year=2030, tzinfo=None)).map(
    lambda at: at.replace(second=0, microsecond=0)
)
views = st.builds(
    View,
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
    range=st.just("custom"),
    start=moments,
    end=moments,
    live=st.booleans(),
    metric=st.sampled_from([metric.slug for metric in METRICS]),
    split=st.sampled_from([*DIMENSIONS, "none"]),
    bucket=st.sampled_from(["auto", *BUCKETS]),
    panels=st.sampled_from(filters.PANEL_COUNTS),
    compare=st.sampled_from(["", *filters.COMPARISONS]),
    filters=st.dictionaries(
        st.sampled_from(DIMENSIONS), st.lists(names, min_size=1, unique=True, max_size=4).map(tuple)
    ),
)


def as_link(view: View) -> dict[str, list[str]]:
    return {key: [value] if isinstance(value, str) else value for key, value in filters.write(view).items()}


@given(views)
def test_a_view_written_to_a_link_is_read_back(view: View) -> None:
    read, notices = filters.read(as_link(view), zone="America/New_York")

    assert (view, []) == (read, notices)


def test_an_empty_link_is_the_last_day_by_provider_in_the_readers_zone() -> None:
    view, notices = filters.read({}, zone="Asia/Tokyo")

    assert (View(zone="Asia/Tokyo"), []) == (view, notices)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"metric": ["happiness"]}, "happiness"),
        ({"bucket": ["2m"]}, "2m"),
        ({"range": ["fortnight"]}, "fortnight"),
        ({"tz": ["Mars/Base"]}, "Mars/Base"),
        ({"colour": ["red"]}, "colour"),
        ({"range": ["custom"], "from": ["yesterday"], "to": ["2026-01-01T00:00"]}, "custom range"),
        ({"range": ["custom"], "from": ["0001-01-01T00:00+14:00"], "to": ["2026-01-01T00:00"]}, "custom range"),
        ({"range": ["custom"], "from": ["2026-01-01T00:00"], "to": ["9999-12-31T23:59"]}, "custom range"),
    ],
)
def test_what_a_link_asks_for_and_nobody_knows_is_left_out_with_a_notice(link: dict[str, list[str]], said: str) -> None:
    view, notices = filters.read(link, zone="UTC")

    assert View() == view
    assert len(notices) == 1
    assert said in notices[0]


def test_a_filter_value_that_does_not_occur_is_left_out_and_named() -> None:
    view = View(filters={"provider": ("aurora", "nobody"), "carrier": ("",)})

    kept, notices = filters.known(view, {"provider": Values(("aurora",)), "carrier": Values(("", "O2"))})

    assert kept.filters == {"provider": ("aurora",), "carrier": ("",)}
    assert notices == ["No provider called “nobody” occurs here; left out."]


def test_where_more_values_occur_than_are_listed_any_may_be_filtered_by() -> None:
    view = View(filters={"provider": ("rare",)})

    assert filters.known(view, {"provider": Values(("aurora",), more=True)}) == (view, [])


def test_a_custom_range_is_wall_clock_time_of_its_zone() -> None:
    link = {"range": ["custom"], "from": ["2026-07-01T10:00"], "to": ["2026-07-01T12:00"], "tz": ["Europe/Berlin"]}

    window = filters.read(link, zone="UTC")[0].window(NOW)

    assert (datetime(2026, 7, 1, 8, tzinfo=UTC), datetime(2026, 7, 1, 10, tzinfo=UTC)) == (window.start, window.end)


def test_a_time_in_a_link_may_carry_its_own_offset() -> None:
    link = {"range": ["custom"], "from": ["2026-07-01T10:00+08:00"], "to": ["2026-07-01T05:00"], "tz": ["UTC"]}

    assert datetime(2026, 7, 1, 2, tzinfo=UTC) == filters.read(link, zone="UTC")[0].window(NOW).start


def test_an_hour_that_the_clock_shows_twice_is_still_the_second_one_in_the_next_link() -> None:
    link = {"range": ["custom"], "from": ["2026-10-25T02:55+02:00"], "to": ["2026-10-25T02:10+01:00"]}
    view = filters.read(link, zone="Europe/Berlin")[0]

    window = filters.read(as_link(view), zone="UTC")[0].window(NOW)

    assert (datetime(2026, 10, 25, 0, 55, tzinfo=UTC), datetime(2026, 10, 25, 1, 10, tzinfo=UTC)) == (
        window.start,
        window.end,
    )
