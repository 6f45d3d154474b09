"""The ways on from an incident and from a point of a panel: to the time and the messages that they are about."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from app import filters
from app.filters import View
from app.views.carriers import point_of, span_of
from core.warehouse import Warehouse
from metrics.detection.records import keep
from tests.app.broken import NOW, incident
from tests.app.looking import Pages, run, text
from tests.app.traffic import load

BEGAN, ENDED = NOW - timedelta(hours=26), NOW - timedelta(hours=25)
BEGIN = datetime(2026, 10, 25, 14, tzinfo=UTC)
HOUR = timedelta(hours=1)


def ways(page: AppTest) -> dict[str, View]:
    """Where the links of a page lead."""
    links = re.findall(r'href="(\w+)\?([^"]*)"', text(page))
    return {name: filters.read(parse_qs(unescape(query)), zone="UTC")[0] for name, query in links}


def test_the_messages_behind_an_incident_are_those_of_its_time(warehouse: Warehouse, pages: Pages) -> None:
    load(warehouse, until=NOW, hours=30, delivered_of_ten=5)
    keep(warehouse, [incident(kind="slow-channel", channel="delay", state="resolved", onset=BEGAN, resolved_at=ENDED)])

    way = ways(run(pages.view("incidents"), incident="one", range="30d", tz="Europe/Berlin"))["messages"]
    listed = run(pages.view("messages"), **filters.write(way)).dataframe[0].value

    assert (way.window(NOW).start, way.window(NOW).end) == (BEGAN, ENDED)
    assert len(listed) == 18  # three every ten minutes
    assert set(listed["state"]) == {"delivered", "failed"}


@pytest.mark.parametrize(
    ("kind", "channel", "shown"),
    [
        ("provider-outage", "accepted", "troubled"),
        ("black-hole", "receipts", "troubled"),
        ("receipts-stop", "receipts", "all"),  # their codes are entered
        ("fake-receipts", "filled", "all"),
    ],
)
def test_messages_that_arrived_are_listed_where_the_incident_is_about_them(
    warehouse: Warehouse, pages: Pages, kind: str, channel: str, shown: str
) -> None:
    keep(warehouse, [incident(kind=kind, channel=channel)])

    assert ways(run(pages.view("incidents"), incident="one"))["messages"].show == shown


def test_the_course_of_an_incident_that_is_over_begins_hours_before_it(warehouse: Warehouse, pages: Pages) -> None:
    keep(warehouse, [incident(state="resolved", onset=BEGAN, resolved_at=ENDED)])

    found = ways(run(pages.view("incidents"), incident="one"))
    course, lost = found["carriers"].window(NOW), found["funnel"].window(NOW)

    assert (course.start, course.end) == (BEGAN - 3 * HOUR, ENDED)
    assert (lost.start, lost.end) == (BEGAN, ENDED)


@pytest.mark.parametrize(("ago", "shown"), [(timedelta(minutes=20), "6h"), (timedelta(days=29), "30d")])
def test_the_course_of_an_open_incident_goes_on(warehouse: Warehouse, pages: Pages, ago: timedelta, shown: str) -> None:
    keep(warehouse, [incident(onset=NOW - ago)])

    found = ways(run(pages.view("incidents"), incident="one"))

    assert found["carriers"].range == shown
    assert found["messages"].window(NOW).start == NOW - ago
    assert found["messages"].window(NOW).end >= NOW


def test_the_course_of_an_incident_that_is_open_for_longer_than_any_range_begins_before_it_too(
    warehouse: Warehouse, pages: Pages
) -> None:
    keep(warehouse, [incident(onset=NOW - timedelta(days=40))])

    course = ways(run(pages.view("incidents"), incident="one"))["carriers"].window(NOW)

    assert course.start == NOW - timedelta(days=40) - 3 * HOUR


def test_where_all_arrived_the_list_of_those_that_did_not_says_so(warehouse: Warehouse, pages: Pages) -> None:
    load(warehouse, until=NOW, hours=1, delivered_of_ten=10)

    assert "Every message of this range arrived" in text(run(pages.view("messages"), show="troubled", range="6h"))


def test_a_point_is_as_long_as_the_bucket_that_was_clicked(warehouse: Warehouse, pages: Pages) -> None:
    load(warehouse, until=NOW, hours=24)
    begin = NOW - timedelta(hours=2)
    point = point_of(int(begin.timestamp()), "15m", "UTC")

    window = ways(run(pages.view("carriers"), point=point, carrier="O2", bucket="1h", tz="UTC"))["messages"].window(NOW)

    assert (begin, begin + timedelta(minutes=15)) == (window.start, window.end)


def test_a_day_of_25_hours_is_a_point_of_25_hours() -> None:
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)

    point = point_of(int(begin.timestamp()), "1d", "Europe/Berlin")

    assert span_of(point, "1m", "UTC") == (begin, begin + 25 * HOUR)


def test_a_point_of_an_older_link_has_the_length_of_the_bucket_that_is_drawn() -> None:
    assert span_of(str(int(BEGIN.timestamp())), "1h", "UTC") == (BEGIN, BEGIN + HOUR)


@pytest.mark.parametrize("point", ["", "x", "5-", "-5", "5-5", "9-3", "1-2-3", "5\n", "²", "٣", "1" * 12])
def test_what_is_no_point_is_passed_over(point: str) -> None:
    assert span_of(point, "1h", "UTC") is None


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_range_between_two_moments_has_every_minute_that_they_touch(zone: str) -> None:
    again = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # Berlin's clock shows 02:10 for the second time
    view = View(zone=zone)

    spans = [
        view.between(again + timedelta(seconds=first), again + timedelta(seconds=last)).window(NOW)
        for first, last in [(0, 60), (20, 61), (20, 20), (0, 0)]
    ]

    assert {again} == {one.start for one in spans}
    assert [one.span.total_seconds() for one in spans] == [60, 120, 60, 60]
