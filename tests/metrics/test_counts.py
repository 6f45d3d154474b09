"""Counts by lag against a plain recount, and what a late, repeated or contradicting receipt changes: its own cell, once."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from core.errors import BadInput, UnknownMetric
from core.events import Event
from core.warehouse import Warehouse
from metrics.cohorts import Filters
from metrics.counts import COUNTS, LEAF, Affected, affected, arrivals, baseline, code_totals, delays
from tests.metrics.story import START, Request, all_of, at, tell
from tests.metrics.test_recount import HOURS, LATEST_HOURS, SEED, attempts_of, random_requests

MINUTE = timedelta(minutes=1)
LATE = timedelta(days=4)


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return all_of(*random_requests(np.random.default_rng(SEED), 600))


@pytest.fixture(scope="module")
def told(shared_warehouse: Warehouse, events: list[Event]) -> Warehouse:
    """In random order, a tenth of them twice."""
    rng = np.random.default_rng(SEED)
    order = rng.permutation(np.concatenate([np.arange(len(events)), rng.integers(0, len(events), len(events) // 10)]))
    for first in range(0, len(order), 300):
        batch = [events[index] for index in order[first : first + 300]]
        tell(shared_warehouse, sorted(batch, key=lambda event: event.kind))
    return shared_warehouse


def recounted(events: list[Event]) -> Counter[tuple[object, ...]]:
    """(count's name, minute of arrival, minute of submission, leaf) → how many."""
    table = attempts_of(events)
    firsts = {
        event.request_id: event
        for event in events
        if event.kind == "verify" and event.check == 1  # type: ignore[attr-defined]
    }
    cells: Counter[tuple[object, ...]] = Counter()
    for row in table.to_dict("records"):
        leaf = tuple(row[name] for name in LEAF)
        cohort = pd.Timestamp(row["at"]).floor("min")

        def note(name: str, moment: datetime, cohort: pd.Timestamp = cohort, leaf: tuple[object, ...] = leaf) -> None:
            cells[(name, pd.Timestamp(moment).floor("min"), cohort, *leaf)] += 1

        accepted, is_code = row["outcome"] == "accepted", row["category"] == "code"
        note("submitted", row["at"])
        if accepted:
            note("accepted", row["at"])
        if accepted and is_code:
            note("accepted_codes", row["at"])
        if accepted and isinstance(row["status"], str):
            note("receipts", row["at_final"])
            note(row["status"], row["at_final"])
        fills = [
            event.at for event in events
            if event.kind == "verify" and (event.request_id, event.attempt) == (row["request_id"], row["attempt"])  # type: ignore[attr-defined]
        ]  # fmt: skip
        if accepted and is_code and fills:
            note("filled", min(fills))
        first = firsts.get(row["request_id"])
        if first is not None and row["attempt"] == 1:
            note("first_checks", first.at)
            if first.result == "approved":  # type: ignore[attr-defined]
                note("first_checks_right", first.at)
    return cells


def cells_of(frame: pd.DataFrame) -> Counter[tuple[object, ...]]:
    keys = ["seen_minute", "cohort_minute", *LEAF]
    return Counter(
        {
            (name, *(row[key] for key in keys)): row[name]
            for row in frame.to_dict("records")
            for name in COUNTS
            if row[name]
        }
    )


def test_every_cell_agrees_with_a_plain_recount(told: Warehouse, events: list[Event]):
    counted = recounted(events)
    whole = arrivals(told, START, START + timedelta(hours=HOURS + LATEST_HOURS))

    assert cells_of(whole) == counted
    assert sum(counted.values()) > 3000


def test_a_minute_asked_for_alone_is_the_same_minute(told: Warehouse):
    whole = arrivals(told, START, START + timedelta(hours=HOURS + LATEST_HOURS))
    for number in (0, 7, 100, 333):
        start = START + number * MINUTE
        alone = arrivals(told, start, start + MINUTE)

        assert not alone.empty
        pd.testing.assert_frame_equal(alone, whole[whole["seen_minute"] == start].reset_index(drop=True))


def test_the_baseline_and_the_delays_are_sums_of_the_cells(told: Warehouse):
    end = START + timedelta(hours=HOURS)
    for seen_until in (START + timedelta(hours=3), end + LATE):
        cells = arrivals(told, START, seen_until)
        cells = cells[cells["cohort_minute"] < end]
        hours = baseline(told, START, min(end, seen_until), seen_until=seen_until, dimensions=("provider", "country"))
        lags = delays(told, START, min(end, seen_until), seen_until=seen_until, dimensions=("provider",))
        keys = [cells["cohort_minute"].dt.floor("1h"), "provider", "country"]
        by_hour = cells.groupby(keys)[list(COUNTS)].sum()
        cells["lag"] = (cells["seen_minute"] - cells["cohort_minute"]).dt.total_seconds() // 60
        young = cells[cells["lag"] < 30].groupby(keys)[list(COUNTS)].sum()
        where = {"seen_until": seen_until, "dimensions": ("provider", "country")}
        early = baseline(told, START, min(end, seen_until), within_minutes=30, **where)
        by_lag = cells.groupby(["provider", "lag"])[["receipts", "delivered", "filled"]].sum()

        assert (hours[list(COUNTS)].to_numpy() == by_hour.to_numpy()).all()
        assert (early[list(COUNTS)].to_numpy() == young.to_numpy()).all()
        assert (lags[["receipts", "delivered", "filled"]].to_numpy() == by_lag[by_lag.sum(axis=1) > 0].to_numpy()).all()
    assert early["receipts"].sum() < hours["receipts"].sum()  # some come days late


def test_without_hours_and_dimensions_the_baseline_is_one_row(told: Warehouse):
    end = START + timedelta(hours=HOURS)
    whole = baseline(told, START, end, seen_until=end, dimensions=(), by_hour=False)
    by_leaf = baseline(told, START, end, seen_until=end, by_hour=False)

    assert len(whole) == 1
    assert (whole.iloc[0] == by_leaf[list(COUNTS)].sum()).all()


def test_a_receipt_days_late_is_seen_in_its_minute_for_the_minute_of_its_submission(warehouse: Warehouse):
    ana = Request("ana").sent().receipt("delivered", LATE.total_seconds())
    tell(warehouse, ana.events)
    tell(warehouse, Request("ana").receipt("delivered", LATE.total_seconds() + 600).events)
    (row,) = arrivals(warehouse, START + LATE, START + LATE + timedelta(hours=1)).to_dict("records")

    assert (row["seen_minute"], row["cohort_minute"]) == (START + LATE, START)
    assert (row["submitted"], row["receipts"], row["delivered"]) == (0, 1, 1)


def test_a_receipt_told_before_its_send_counts_once_both_are_told(warehouse: Warehouse):
    ana = Request("ana").sent().receipt("failed", 5, error_class="route", raw_code="69")
    tell(warehouse, ana.events[1:])
    assert arrivals(warehouse, START, START + MINUTE).empty
    tell(warehouse, ana.events[:1])

    assert arrivals(warehouse, START, START + MINUTE)[["submitted", "receipts", "failed"]].to_numpy().tolist() == [
        [1, 1, 1]
    ]


def test_codes_of_a_scope_are_what_answers_and_receipts_said_the_most_frequent_first(warehouse: Warehouse):
    answer = {"error_class": "throttled", "error_code": "E7"}
    failed = (
        Request("ben").sent().receipt("failed", 65, error_class="route", raw_code="MK:0004").receipt("delivered", 90)
    )
    refused = (Request(name, provider=name).sent("rejected", **answer) for name in ("aurora", "beacon"))
    tell(warehouse, all_of(*refused, failed, Request("eve").sent().receipt("delivered", 3)))

    def told(scope: Filters, minutes: int = 60, **more: int) -> list[list[object]]:
        return code_totals(warehouse, scope, START, START + minutes * MINUTE, **more).to_numpy().tolist()

    assert told({}) == [["throttled", "E7", 2], ["route", "MK:0004", 1]]
    assert told({}, most=1) == [["throttled", "E7", 2]]
    assert told({"provider": ["aurora"]}) == [["route", "MK:0004", 1], ["throttled", "E7", 1]]
    assert told({"provider": ["aurora"]}, minutes=1) == [["throttled", "E7", 1]]


def test_people_affected_are_different_numbers_of_those_that_fared_badly(warehouse: Warehouse):
    ana, ben = "a" * 32, "b" * 32
    tell(
        warehouse,
        all_of(
            Request("1").sent(phone_hash=ana).sent(attempt=2, after=40, phone_hash=ana),
            Request("2").sent(phone_hash=ben).receipt("failed", 5),
            Request("3").sent(),
            Request("4", provider="beacon").sent(phone_hash="c" * 32),
            Request("5").sent(phone_hash="d" * 32).receipt("delivered", 5),
            Request("6").sent("rejected", phone_hash="e" * 32),
        ),
    )
    hour = (START, START + timedelta(hours=1))
    here = {"provider": ["aurora"], "country": ["DE", "FR"]}

    def known_at(seconds: float, channel: str, scope: Filters) -> Affected:
        return affected(warehouse, scope, *hour, seen_until=START + timedelta(seconds=seconds), channel=channel)

    assert known_at(3600, "delivered", {}) == Affected(7, 5, 4)
    assert known_at(3600, "delivered", here) == Affected(6, 4, 3)
    assert known_at(3600, "receipts", here) == Affected(6, 3, 2)
    assert known_at(3600, "delay", here) == Affected(6, 3, 2)
    assert known_at(3600, "accepted", here) == Affected(6, 1, 1)
    assert known_at(3600, "filled", here) == Affected(6, 5, 4)
    assert known_at(4, "receipts", here) == Affected(6, 5, 4)
    assert known_at(30, "delay", here) == Affected(6, 0, 0)


def test_nothing_is_no_rows_but_all_columns(warehouse: Warehouse):
    hour = (START, START + timedelta(hours=1))

    assert list(arrivals(warehouse, *hour).columns) == ["seen_minute", "cohort_minute", *LEAF, *COUNTS]
    assert list(code_totals(warehouse, {}, *hour).columns) == ["error_class", "code", "attempts"]
    assert list(baseline(warehouse, *hour, seen_until=at(0)).columns) == ["cohort_hour", *LEAF, *COUNTS]
    assert delays(warehouse, *hour, seen_until=at(0)).empty


def test_a_name_or_a_window_that_is_none_is_refused(warehouse: Warehouse):
    with pytest.raises(UnknownMetric, match="did you mean 'carrier'"):
        affected(warehouse, {"carier": ["x"]}, START, START + MINUTE, seen_until=START, channel="delivered")
    with pytest.raises(UnknownMetric, match="did you mean 'provider'"):
        baseline(warehouse, START, START + MINUTE, seen_until=START, dimensions=("providers",))
    with pytest.raises(BadInput):
        arrivals(warehouse, START, START)
