"""How the data itself comes in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import BadInput
from core.warehouse import Warehouse
from metrics.freshness import LETTER_COLUMNS, Runs, arrivals, dead_letters, last_judged, runs
from metrics.runs import Run, note
from tests.metrics.story import START, Request, all_of, at, tell

END = START + timedelta(hours=1)


def test_events_are_counted_by_kind_when_they_happened(warehouse: Warehouse):
    tell(warehouse, all_of(Request("one").sent().receipt("delivered", 70), Request("two").sent()))
    rows = arrivals(warehouse, start=START, end=END, bucket="5m")

    assert rows[["kind", "events"]].to_numpy().tolist() == [["receipt", 0.2], ["send", 0.4]]
    assert rows["bucket"].iloc[0].to_pydatetime() == START
    assert arrivals(warehouse, start=END, end=END + timedelta(hours=1), bucket="5m").empty
    with pytest.raises(BadInput):
        arrivals(warehouse, start=END, end=START, bucket="5m")


def test_where_no_event_came_there_is_a_zero_and_a_bucket_cut_off_counts_for_its_part(warehouse: Warehouse):
    tell(warehouse, all_of(Request("one").sent(), Request("two", seconds=660).sent()))
    rows = arrivals(warehouse, start=START, end=START + timedelta(minutes=12), bucket="5m")

    assert rows[["kind", "events"]].to_numpy().tolist() == [["send", 0.2], ["send", 0.0], ["send", 0.5]]


def test_letters_are_told_by_reason_with_the_latest_one(warehouse: Warehouse):
    rows = [
        {"at": at(place).isoformat(), "source": "EVENTS", "place": str(place), "reason": reason, "payload": f"p{place}",
         "masked": place == 2, "id": f"{place:032d}"}
        for place, reason in ((1, "not JSON"), (2, "not JSON"), (3, "no UUIDv7"))
    ]  # fmt: skip
    warehouse.insert_json("dead_letters", "\n".join(map(json.dumps, rows)).encode())
    found = dead_letters(warehouse, start=START, end=END)

    assert tuple(found.columns) == LETTER_COLUMNS
    assert found[["reason", "letters", "payload", "masked"]].to_numpy().tolist() == [
        ["not JSON", 2, "p2", True],
        ["no UUIDv7", 1, "p3", False],
    ]
    assert dead_letters(warehouse, start=END, end=END + timedelta(hours=1)).empty


def test_jobs_that_have_not_run_left_nothing_behind(warehouse: Warehouse):
    assert runs(warehouse) == Runs(None, None, None, {})
    assert last_judged(warehouse) is None

    row = {"name": "detection", "version": 1, "minute": "2026-03-02 09:05:00", "note": "{}"}
    warehouse.insert_json("detection_progress", json.dumps(row).encode())
    hour = {"hour": "2026-03-02 06:00:00", "covers_until": "2026-03-02 09:01:02.000", "attempts": 1}
    warehouse.insert_json("rollup_built", json.dumps(hour).encode())
    warehouse.insert_json("settled_days", b'{"day": "2026-02-25", "settled_at": "2026-03-02 03:20:07"}')

    ended = datetime(2026, 3, 2, 9, 5, 5, tzinfo=UTC)
    note(warehouse, "minute", at=ended, failure="detection: KeyError")
    note(warehouse, "report", at=ended, failure="MailUnavailable")
    note(warehouse, "report", at=ended + timedelta(hours=1))

    assert runs(warehouse) == Runs(
        judged=datetime(2026, 3, 2, 9, 5, tzinfo=UTC),
        rolled_up=datetime(2026, 3, 2, 9, 1, 2, tzinfo=UTC),
        merged=datetime(2026, 3, 2, 3, 20, 7, tzinfo=UTC),
        latest={"minute": Run(ended, "detection: KeyError"), "report": Run(ended + timedelta(hours=1))},
    )
    assert last_judged(warehouse) == runs(warehouse).judged
