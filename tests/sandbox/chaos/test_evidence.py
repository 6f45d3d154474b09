"""What is read of a real warehouse, and that a metric that differs from the plain recount is found."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from core.warehouse import Warehouse
from sandbox.chaos.checker import metrics_that_differ
from sandbox.chaos.evidence import Evidence, read_events, read_told
from tests.metrics.story import Request, all_of, at, tell

NOW = at(3600)


@pytest.fixture
def told(warehouse: Warehouse) -> Warehouse:
    one = Request("one").sent().receipt("pending", 1.0, raw_status="SENT").receipt("delivered", 2.0)
    two = Request("two", seconds=10).sent().receipt("failed", 3.0, error_class="handset").sent(attempt=2, after=20)
    tell(warehouse, all_of(one.check("wrong", 5.0, attempt=0).check("approved", 6.0), two))
    return warehouse


def differing(warehouse: Warehouse, evidence: Evidence) -> list[str]:
    return list(metrics_that_differ(warehouse, evidence, now=NOW, on_time_seconds=60))


def facts_of(warehouse: Warehouse) -> dict[str, pd.DataFrame]:
    """The tables of a primary store of which this warehouse was told."""
    told = read_told(warehouse)
    sends = told["send_events"]
    requests = sends[["request_id", "category", "carrier"]].drop_duplicates("request_id")
    return {
        "requests": requests.rename(columns={"request_id": "id"}),
        "attempts": sends,
        "outcomes": sends,
        "receipts": told["receipt_events"],
        "checks": told["verify_events"],
    }


def test_every_event_is_read_by_the_key_of_its_fact(told: Warehouse):
    events = read_events(told)

    assert {name: len(rows) for name, rows in events.items()} == {
        "send_events": 3,
        "receipt_events": 3,
        "verify_events": 2,
        "inbound_events": 0,
    }
    assert {stage for _, _, stage in events["receipt_events"]} == {"final", "interim:SENT"}
    assert {(number, result) for _, number, result in events["verify_events"]} == {(1, "wrong"), (2, "approved")}


def test_the_first_final_receipt_counts_however_often_and_in_whatever_order_it_was_told(warehouse: Warehouse):
    later = Request("one").sent().receipt("failed", 4.0, error_class="handset").receipt("delivered", 3.0)
    first = Request("one").sent().receipt("delivered", 2.0)
    other = Request("two").sent().receipt("failed", 5.0, error_class="handset")
    tell(warehouse, all_of(first, other))
    tell(warehouse, all_of(later))
    finals = read_told(warehouse)["finals"].sort_values("at")

    assert list(finals["at"]) == [at(2), at(5)]
    assert list(finals["status"]) == ["delivered", "failed"]
    assert list(finals["error_class"]) == ["", "handset"]


def test_the_metrics_agree_with_a_recount_of_the_facts(told: Warehouse):
    assert differing(told, Evidence(facts_of(told), {})) == []


@pytest.mark.parametrize("seconds", [-1, 1])
def test_a_metric_that_differs_is_named_with_both_values(told: Warehouse, seconds: float):
    evidence = Evidence(facts_of(told), {})
    evidence.facts["receipts"]["at"] += timedelta(seconds=seconds)

    assert [problem.split(":")[0] for problem in differing(told, evidence)] == [
        "metric delivery_time",
        "metric delivery_time_p95",
    ]
