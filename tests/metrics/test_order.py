"""Late, repeated and reordered events: a final state never goes back, and any order gives the same rows and values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.events import Event
from core.warehouse import Warehouse
from metrics.catalogue import METRICS
from metrics.query import Question, ask
from tests.metrics.story import START, Request, all_of, at, tell

SLUGS = tuple(one.slug for one in METRICS)
NOW = at(1800)

ROW = (
    "request_minute, attempt, provider, carrier_prefix, carrier_reported, country, region, purpose, template, category, cause, "
    "submitted_at, outcome, outcome_class, outcome_code, latency_ms, segments, phone_hash, "
    "receipt_at, delivered_at, failed_at, failure, filled_at, approved_at, resent_at"
)
"""All of `attempts` but the request's id and the app, by which the tests tell their data apart."""


def rows(warehouse: Warehouse, requests: Sequence[Request]) -> list[list[tuple[Any, ...]]]:
    return [
        warehouse.query_rows(
            f"SELECT {ROW} FROM attempts FINAL WHERE request_id = {{id:UUID}} ORDER BY attempt", {"id": str(request.id)}
        )
        for request in requests
    ]


def ten(warehouse: Warehouse, app: str) -> dict[str, Any]:
    asked = Question(metrics=SLUGS, start=START, end=START + timedelta(days=1), filters={"app": [app]})
    (row,) = ask(warehouse, asked, now=NOW).to_dict("records")
    return row


def test_a_final_state_never_goes_back(warehouse: Warehouse):
    def told_so_far() -> tuple[bool, bool, bool]:
        (states,) = warehouse.query_rows("SELECT pending, delivered, failed FROM attempts FINAL")
        return tuple(map(bool, states))  # type: ignore[return-value]

    pending, delivered, failed = (True, False, False), (False, True, False), (False, False, True)
    ana = Request("ana").sent()
    tell(warehouse, ana.events)
    assert told_so_far() == pending
    tell(warehouse, Request("ana").receipt("pending", 2).events)
    assert told_so_far() == pending
    tell(warehouse, Request("ana").receipt("failed", 5, error_class="route").events)
    assert told_so_far() == failed
    for later in (
        Request("ana").receipt("delivered", 6),
        Request("ana").receipt("pending", 7),
        Request("ana").receipt("failed", 8, error_class="handset", raw_code="24"),
        ana,
    ):
        tell(warehouse, later.events)
        assert told_so_far() == failed
    # Told last, and yet the first that reached us.
    tell(warehouse, Request("ana").receipt("delivered", 4, raw_status="OK").events)
    assert told_so_far() == delivered


def test_the_class_of_a_failure_is_that_of_the_first(warehouse: Warehouse):
    tell(warehouse, Request("ana").receipt("failed", 9, error_class="handset", raw_code="24").events)
    tell(warehouse, Request("ana").receipt("failed", 5, error_class="route", raw_code="69").events)
    tell(warehouse, Request("ana").sent().events)
    (said,) = warehouse.query_rows("SELECT failure_class, failure_code FROM attempts FINAL")

    assert said == ("route", "69")


def test_a_receipt_pushed_again_later_changes_no_value(warehouse: Warehouse):
    tell(warehouse, Request("ana").sent().receipt("delivered", 5).events)
    before = ten(warehouse, "shop")
    for seconds in (50, 500):
        tell(warehouse, Request("ana").receipt("delivered", seconds).events)

    assert ten(warehouse, "shop") == before
    assert before["delivery_time"] == 5.0


def test_a_late_receipt_lands_in_the_cohort_of_its_submission(warehouse: Warehouse):
    tell(warehouse, all_of(Request("ana").sent(), Request("ben", seconds=3600).sent()))
    tell(warehouse, Request("ana").receipt("delivered", 5000).events)
    asked = Question(metrics=("delivery_rate",), start=START, end=START + timedelta(days=1), bucket="1h")

    assert list(ask(warehouse, asked, now=NOW)["delivery_rate"]) == [1.0, 0.0]


def test_merging_the_parts_of_the_table_changes_nothing(warehouse: Warehouse):
    warehouse.command("SYSTEM STOP MERGES attempts")
    requests = [Request(f"r{number}", seconds=number).sent() for number in range(8)]
    for request in requests:
        request.receipt("pending", 2).receipt(("delivered", "failed")[len(request.events) % 2], 7, error_class="number")
        request.check("wrong", 20, attempt=0).sent(attempt=2, after=60).check("approved", 80, attempt=2)
    for event in all_of(*requests):
        tell(warehouse, [event])
    ((parts,),) = warehouse.query_rows("SELECT uniqExact(_part) FROM attempts")
    apart = (rows(warehouse, requests), ten(warehouse, "shop"))
    warehouse.command("SYSTEM START MERGES attempts")
    warehouse.command("OPTIMIZE TABLE attempts FINAL")

    assert parts > 8
    assert (rows(warehouse, requests), ten(warehouse, "shop")) == apart


FINAL_OR_NOT = st.sampled_from(["delivered", "failed", "pending"])
RECEIPTS = st.lists(
    st.tuples(
        FINAL_OR_NOT, st.integers(0, 100), st.sampled_from(["", "handset", "route"]), st.sampled_from(["", "south"])
    ),
    max_size=3,
)
CHECKS = st.lists(
    st.tuples(st.sampled_from(["approved", "wrong", "expired"]), st.integers(1, 200), st.sampled_from([0, 1, 2])),
    max_size=2,
)
OUTCOMES = st.sampled_from(["accepted", "accepted", "accepted", "rejected", "unknown", "refused"])
STORIES = st.lists(
    st.tuples(OUTCOMES, st.none() | OUTCOMES, st.sampled_from(["resend", "failover"]), RECEIPTS, CHECKS),
    min_size=1,
    max_size=3,
)


def happened(stories: list[Any], app: str) -> list[Request]:
    """The same stories give the same events, but for the app and the ids."""
    requests = []
    for number, (first, second, cause, receipts, checks) in enumerate(stories):
        request = Request(f"{app} {number}", seconds=number * 10, app=app).sent(first)
        if second:
            request.sent(second, attempt=2, after=30, cause=cause, provider="beacon")
        for status, after, error_class, carrier in receipts:
            request.receipt(
                status, after, error_class=error_class, carrier=carrier, attempt=1 + bool(second and after > 30)
            )
        for result, after, attempt in checks:
            request.check(result, after, attempt=attempt)
        requests.append(request)
    return requests


@pytest.fixture(scope="module")
def names() -> count:
    return count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), stories=STORIES)
def test_any_order_and_repetition_of_the_same_events_gives_the_same_rows_and_values(
    shared_warehouse: Warehouse, names: count, data: st.DataObject, stories: list[Any]
):
    number = next(names)
    plain, mixed = happened(stories, f"plain {number}"), happened(stories, f"mixed {number}")
    tell(shared_warehouse, all_of(*plain))
    events = all_of(*mixed)
    again = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=6), label="told again")
    order = data.draw(st.permutations([*range(len(events)), *again]), label="order")
    shuffled: list[Event] = [events[index] for index in order]
    tell(shared_warehouse, shuffled)

    assert rows(shared_warehouse, mixed) == rows(shared_warehouse, plain)
    assert ten(shared_warehouse, f"mixed {number}") == pytest.approx(
        ten(shared_warehouse, f"plain {number}"), nan_ok=True
    )
