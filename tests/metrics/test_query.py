"""Questions: which are refused, how time is cut, what is split and filtered, when a value is settled."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from core.errors import BadInput, UnknownMetric
from core.events import DIMENSIONS, Receipt, Send
from core.ids import uuid7_from
from core.warehouse import Warehouse
from metrics.catalogue import METRICS, metric
from metrics.query import BUCKETS, Question, ask, freshness
from metrics.values import Values, values_of
from tests.metrics.story import START, Request, all_of, at, tell

SLUGS = tuple(one.slug for one in METRICS)
DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")


def question(**asked) -> Question:
    return Question(**{"metrics": ("delivery_rate",), "start": START, "end": START + DAY} | asked)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"metrics": ("delivery_rates",)}, "did you mean 'delivery_rate'"),
        ({"dimensions": ("providr",)}, "did you mean 'provider'"),
        ({"filters": {"carier": ["north"]}}, "did you mean 'carrier'"),
        ({"bucket": "2h"}, "unknown bucket '2h'"),
        ({"dimensions": ("provider; DROP TABLE attempts",)}, "unknown dimension"),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_the_nearest(asked: dict, says: str):
    with pytest.raises(UnknownMetric, match=says):
        question(**asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"metrics": ()},
        {"metrics": "delivery_rate"},
        {"metrics": ("delivery_rate", "delivery_rate")},
        {"dimensions": "provider"},
        {"dimensions": ("provider", "provider")},
        {"filters": {"provider": "aurora"}},
        {"end": START},
        {"end": START - DAY},
        {"start": START.replace(tzinfo=None)},
        {"end": (START + DAY).replace(tzinfo=None)},
        {"time_zone": "Europe/Nowhere"},
        {"time_zone": ""},
        {"time_zone": "../etc/passwd"},
    ],
    ids=repr,
)
def test_a_question_without_an_answer_is_refused(asked: dict):
    with pytest.raises(BadInput):
        question(**asked)


@pytest.mark.parametrize(
    "given", [{"now": START.replace(tzinfo=None)}, {"now": START, "on_time_seconds": 0}], ids=["naive now", "no time"]
)
def test_an_answer_needs_to_know_the_time(shared_warehouse: Warehouse, given: dict):
    with pytest.raises(BadInput):
        ask(shared_warehouse, question(), **given)


def test_no_data_is_no_rows_but_all_columns(warehouse: Warehouse):
    frame = ask(warehouse, question(metrics=SLUGS, bucket="1h", dimensions=DIMENSIONS), now=START)

    assert frame.empty
    assert list(frame.columns) == ["bucket", *DIMENSIONS, *(name for one in METRICS for name in one.columns)]
    assert str(frame["bucket"].dtype).endswith(", UTC]")
    assert (frame["delivery_rate"].dtype, frame["delivery_rate_n"].dtype) == ("float64", "int64")
    assert freshness(warehouse) is None
    assert values_of(warehouse, ["provider"], start=START, end=START + DAY) == {"provider": Values()}


@pytest.fixture(scope="module")
def mixed(shared_warehouse: Warehouse) -> Warehouse:
    """Forty verifications and notifications that differ in every dimension."""
    requests = [
        Request(
            f"mixed {number}",
            seconds=number * 90,
            provider=("aurora", "beacon")[number % 2],
            carrier=("north", "south", "")[number % 3],
            country=("DE", "FR")[number % 2],
            region=("", "BE", "BY")[number % 3],
            app=f"app {number % 4}",
            purpose=("login", "signup")[number % 2],
            template=f"template {number % 5}",
        )
        .sent(("accepted", "accepted", "rejected")[number % 3], category="code" if number % 4 else "notification")
        .receipt(("delivered", "failed", "pending")[number % 3], 2 + number)
        .check("approved", 30)
        for number in range(40)
    ]
    tell(shared_warehouse, [event for event in all_of(*requests) if event.kind == "send"])
    tell(shared_warehouse, [event for event in all_of(*requests) if event.kind == "receipt"])
    tell(shared_warehouse, [event for event in all_of(*requests) if event.kind == "verify"])
    return shared_warehouse


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_every_metric_answers_for_every_dimension(mixed: Warehouse, dimension: str):
    for slug in SLUGS:
        whole = ask(mixed, question(metrics=(slug,)), now=START + DAY)
        parts = ask(mixed, question(metrics=(slug,), dimensions=(dimension,)), now=START + DAY)

        assert len(parts) > 1
        assert parts[f"{slug}_n"].sum() == whole[f"{slug}_n"].item() > 0
        if metric(slug).unit == "ratio":
            weighted = (parts[slug] * parts[f"{slug}_n"]).sum() / parts[f"{slug}_n"].sum()
            assert weighted == pytest.approx(whole[slug].item())


def test_a_filter_keeps_its_values_and_an_empty_one_keeps_all(mixed: Warehouse):
    def n(**filters: list[str]) -> int:
        asked = question(metrics=("third_party_success_rate",), filters=filters)
        return ask(mixed, asked, now=START)["third_party_success_rate_n"].item()

    assert n() == n(provider=[]) == n(provider=["aurora", "beacon"]) == 40
    assert n(provider=["aurora"]) == 20
    assert n(provider=["aurora"], purpose=["signup"]) == 0
    assert n(carrier=[""]) == 13
    assert n(carrier=["north' OR 1 --"]) == 0


def test_rows_come_in_the_order_of_bucket_and_dimensions(mixed: Warehouse):
    keys = ["bucket", "app", "carrier"]
    frame = ask(mixed, question(bucket="15m", dimensions=("app", "carrier")), now=START)

    assert frame[keys].equals(frame[keys].sort_values(keys, ignore_index=True))
    assert not frame[keys].duplicated().any()


def test_the_values_of_a_dimension_are_sorted_and_of_the_window(mixed: Warehouse):
    assert values_of(mixed, ["carrier"], start=START, end=START + DAY) == {"carrier": Values(("", "north", "south"))}
    assert values_of(mixed, ["app"], start=at(0), end=at(90)) == {"app": Values(("app 0",))}
    with pytest.raises(UnknownMetric, match="did you mean 'carrier'"):
        values_of(mixed, ["carriers"], start=START, end=START + DAY)


def test_of_more_values_than_are_wanted_the_most_frequent_are_told(mixed: Warehouse):
    of_two = values_of(mixed, ["carrier"], start=START, end=START + DAY, most=2)
    of_three = values_of(mixed, ["carrier"], start=START, end=START + DAY, most=3)

    assert of_two["carrier"].more
    assert of_two["carrier"].names == ("", "north")  # 14 attempts are north's, 13 the others' each
    assert of_three["carrier"] == Values(("", "north", "south"))


def test_freshness_is_the_newest_submission(mixed: Warehouse):
    assert freshness(mixed) == at(39 * 90)


def test_freshness_is_that_of_a_moment_however_long_nothing_came_and_whatever_is_dated_ahead(warehouse: Warehouse):
    days = [Request(str(day), seconds=day * 86_400).sent() for day in (0, 40)]
    tell(warehouse, all_of(*days))

    assert [freshness(warehouse, until=START + after) for after in (timedelta(hours=1), 3 * DAY, 40 * DAY)] == [
        START, START, START + 40 * DAY,
    ]  # fmt: skip
    assert freshness(warehouse, until=START - DAY) is None


def test_a_receipt_without_its_send_does_not_hide_how_fresh_the_data_is(warehouse: Warehouse):
    later = START + timedelta(days=3)
    tell(warehouse, Request("ana").sent().events)
    tell(warehouse, [Receipt(request_id=uuid7_from(later, "astray"), attempt=1, at=later, status="delivered")])

    assert freshness(warehouse) == START


def test_the_carrier_a_receipt_names_goes_before_the_one_of_the_prefix(warehouse: Warehouse):
    ported = Request("ana", carrier="north").sent().receipt("delivered", 4, carrier="south")
    tell(warehouse, ported.events)

    assert values_of(warehouse, ["carrier"], start=START, end=START + DAY) == {"carrier": Values(("south",))}


def test_a_window_is_half_open_to_the_millisecond(warehouse: Warehouse):
    tell(warehouse, Request("ana", seconds=60).sent().events)

    def n(start: float, end: float) -> int:
        return ask(warehouse, question(start=at(start), end=at(end)), now=START)["delivery_rate_n"].item()

    assert (n(60, 60.001), n(59, 60), n(60.001, 61)) == (1, 0, 0)


def test_an_attempt_is_found_an_hour_from_the_minute_of_its_request(warehouse: Warehouse):
    resent = Request("ana").sent(attempt=2, after=3599)
    ahead = Send(  # its clock was set back after the id was made
        request_id=uuid7_from(at(10_000), "ben"), attempt=1, at=at(10_000 - 3599), category="code", cause="first", outcome="accepted",
    )  # fmt: skip
    tell(warehouse, [*resent.events, ahead])

    def n(start: float) -> int:
        asked = question(start=at(start), end=at(start + 1))
        return ask(warehouse, asked, now=START)["delivery_rate_n"].item()

    assert (n(3599), n(10_000 - 3599)) == (1, 1)


def hourly(start: datetime, hours: int) -> list[Send]:
    """One attempt in the middle of each hour."""
    moments = [start + timedelta(hours=number, minutes=30) for number in range(hours)]
    return [
        Send(
            request_id=uuid7_from(moment, "hourly"), attempt=1, at=moment, category="code", cause="first", outcome="accepted"
        )
        for moment in moments
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("midnight", "hours_of_days"),
    [
        (datetime(2026, 3, 28, tzinfo=BERLIN), [24, 23, 24]),
        (datetime(2026, 10, 24, tzinfo=BERLIN), [24, 25, 24]),
    ],
    ids=["summer time begins", "summer time ends"],
)
def test_a_day_lasts_from_local_midnight_to_local_midnight(
    warehouse: Warehouse, midnight: datetime, hours_of_days: list[int]
):
    start = midnight.astimezone(UTC)
    hours = sum(hours_of_days)
    tell(warehouse, hourly(start, hours))

    def buckets(name: str) -> pd.DataFrame:
        asked = question(start=start, end=start + timedelta(hours=hours), bucket=name, time_zone="Europe/Berlin")
        return ask(warehouse, asked, now=start)

    days = buckets("1d")
    assert list(days["delivery_rate_n"]) == hours_of_days
    assert [str(bucket)[11:19] for bucket in days["bucket"]] == ["00:00:00"] * 3
    assert {bucket.hour for bucket in buckets("6h")["bucket"]} == {0, 6, 12, 18}
    assert len(buckets("6h")) == 12
    assert list(buckets("1h")["delivery_rate_n"]) == [1] * hours
    assert (
        Counter(bucket.day for bucket in buckets("1h")["bucket"])
        == Counter(dict(zip([bucket.day for bucket in days["bucket"]], hours_of_days, strict=True)))
    )  # fmt: skip


def test_hours_begin_where_those_of_the_time_zone_do(warehouse: Warehouse):
    tell(warehouse, hourly(START, 2))
    frame = ask(warehouse, question(bucket="1h", time_zone="Asia/Kolkata"), now=START)  # half an hour off the full one

    assert [str(bucket) for bucket in frame["bucket"]] == ["2026-03-02 15:00:00+05:30", "2026-03-02 16:00:00+05:30"]


@pytest.mark.parametrize("bucket", BUCKETS)
def test_a_bucket_begins_at_a_multiple_of_its_length_and_a_gap_is_an_absent_row(mixed: Warehouse, bucket: str):
    frame = ask(mixed, question(bucket=bucket, metrics=("third_party_success_rate",)), now=START)
    since_midnight = (frame["bucket"] - frame["bucket"].dt.normalize()).dt.total_seconds()

    assert (since_midnight % BUCKETS[bucket] == 0).all()
    assert len(frame) == len({number * 90 // BUCKETS[bucket] for number in range(40)})
    assert frame["third_party_success_rate_n"].sum() == 40


def settled(
    warehouse: Warehouse, *, now: datetime, slug: str = "delivery_rate", on_time_seconds: int = 60, **asked
) -> list:
    frame = ask(warehouse, question(metrics=(slug,), **asked), now=now, on_time_seconds=on_time_seconds)
    return list(frame[f"{slug}_settled"])


def test_a_bucket_is_settled_once_its_end_is_old_enough(warehouse: Warehouse):
    tell(warehouse, all_of(Request("ana").sent(), Request("ben", seconds=3600).sent()))
    first_ends = at(3600)
    age = timedelta(seconds=metric("delivery_rate").settled_after_seconds)
    tick = timedelta(milliseconds=1)

    assert settled(warehouse, now=first_ends + age, bucket="1h") == [False, False]
    assert settled(warehouse, now=first_ends + age + tick, bucket="1h") == [True, False]
    assert settled(warehouse, now=first_ends + age + tick + timedelta(hours=1), bucket="1h") == [True, True]


def test_a_window_without_buckets_is_settled_by_its_end_and_so_is_a_bucket_cut_by_it(warehouse: Warehouse):
    tell(warehouse, Request("ana").sent().events)
    now = at(3600 + 61)

    assert settled(warehouse, now=now, end=at(60)) == [True]
    assert settled(warehouse, now=now, end=at(120)) == [False]
    assert settled(warehouse, now=now, end=at(60), bucket="1d") == [True]
    assert settled(warehouse, now=now, bucket="1d") == [False]


def test_the_last_bucket_of_the_longest_day_settles_by_its_own_end(warehouse: Warehouse):
    midnight = datetime(2026, 10, 25, tzinfo=BERLIN).astimezone(UTC)  # 25 hours, the first quarter has 7
    tell(warehouse, hourly(midnight, 25))
    age = timedelta(seconds=metric("delivery_rate").settled_after_seconds)
    zone = {"start": midnight, "end": midnight + 2 * DAY, "time_zone": "Europe/Berlin"}

    for bucket, hours in (("6h", 7), ("1d", 25)):
        ends = midnight + timedelta(hours=hours)
        assert settled(warehouse, now=ends + age, bucket=bucket, **zone)[0] is False
        assert settled(warehouse, now=ends + age + timedelta(seconds=1), bucket=bucket, **zone)[0] is True


def test_on_time_settles_later_when_more_time_is_allowed(warehouse: Warehouse):
    tell(warehouse, Request("ana").sent().events)
    now = at(60 + 60 + 120 + 1)
    on_time = {"slug": "on_time_rate", "end": at(60), "now": now}

    assert settled(warehouse, on_time_seconds=60, **on_time) == [True]
    assert settled(warehouse, on_time_seconds=62, **on_time) == [False]
