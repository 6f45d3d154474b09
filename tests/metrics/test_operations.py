"""What the service tells of itself comes back as it was told, counted once however often it was told."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import BadInput
from core.events import AnyEvent, Availability, StatusChange, decode_lines, encode_lines
from core.warehouse import Warehouse
from ingest.sink import Sink
from metrics.operations import availability, backlogs, status_history

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
END = START + timedelta(hours=1)
ONE, OTHER = "a" * 32, "b" * 32


def tell(warehouse: Warehouse, *events: AnyEvent) -> None:
    for _ in range(2):  # the queue may bring it twice
        assert Sink(warehouse, clock=lambda: END).store("a test", events, []).dead_letters == 0


def minute(after: int, calls: int, failed: int = 0, shed: int = 0, instance: str = ONE, **more: int) -> Availability:
    at = START + timedelta(minutes=after)
    return Availability(at=at, instance=instance, calls=calls, failed=failed, shed=shed, **more)


def waiting(after: int, store: int, events: int, instance: str = ONE) -> Availability:
    return minute(after, 0, instance=instance, store_backlog_bytes=store, events_backlog_bytes=events)


def change(after_seconds: float, old: str, new: str, **more: str) -> StatusChange:
    given = {"instance": ONE, "component": "store", "reason": "no answer"} | more
    return StatusChange(at=START + timedelta(seconds=after_seconds), old=old, new=new, **given)


def test_a_change_that_two_instances_saw_is_one_change_by_two(warehouse: Warehouse):
    tell(
        warehouse,
        change(1.25, "healthy", "mysql_fatal"),
        change(2, "healthy", "mysql_fatal", instance=OTHER, reason="another instance"),
        change(90, "mysql_fatal", "recovering", reason="an operator said so"),
        change(95, "up", "down", component="queue"),
    )
    rows = status_history(warehouse, start=START, end=END, component="store")

    assert rows[["old", "new", "reason", "instances"]].to_numpy().tolist() == [
        ["mysql_fatal", "recovering", "an operator said so", 1],
        ["healthy", "mysql_fatal", "no answer", 2],
    ]
    assert rows["at"].iloc[1].to_pydatetime() == START + timedelta(seconds=1.25)
    assert rows["instance"].iloc[1] == ONE
    assert len(status_history(warehouse, start=START, end=END)) == 3


def test_a_change_that_came_twice_within_a_minute_is_two_and_one_on_both_sides_of_a_minute_is_one(warehouse: Warehouse):
    tell(
        warehouse,
        change(58, "healthy", "mysql_fatal"),
        change(61, "healthy", "mysql_fatal", instance=OTHER),
        change(70, "mysql_fatal", "healthy"),
        change(80, "healthy", "mysql_fatal"),
        change(82, "healthy", "mysql_fatal", instance=OTHER),
        change(200, "healthy", "mysql_fatal", instance=OTHER),
    )
    rows = status_history(warehouse, start=START, end=END)

    assert rows[["new", "instances"]].to_numpy().tolist() == [
        ["mysql_fatal", 1],
        ["mysql_fatal", 2],
        ["healthy", 1],
        ["mysql_fatal", 2],
    ]


def test_availability_is_the_share_of_calls_that_did_not_fail_over_all_instances(warehouse: Warehouse):
    tell(warehouse, minute(0, 6000, failed=1), minute(0, 4000, failed=1, shed=1, instance=OTHER), minute(61, 100, 100))
    [row] = availability(warehouse, start=START, end=END).to_dict("records")

    assert row["availability"] == pytest.approx(0.9998)
    assert (row["n"], row["failed"], row["shed"], row["within_goal"]) == (10_000, 2, 1, False)


def test_availability_by_bucket_leaves_out_what_had_no_call(warehouse: Warehouse):
    tell(warehouse, minute(0, 10), minute(4, 10, failed=5), minute(6, 0), minute(11, 2))
    rows = availability(warehouse, start=START, end=END, bucket="5m")

    assert rows["availability"].tolist() == [0.75, 1.0]
    assert rows["bucket"].tolist() == [START, START + timedelta(minutes=10)]
    assert rows["within_goal"].tolist() == [False, True]


def test_without_a_call_availability_is_undefined(warehouse: Warehouse):
    [row] = availability(warehouse, start=START, end=END).to_dict("records")

    assert math.isnan(row["availability"])
    assert (row["n"], row["within_goal"]) == (0, None)
    assert availability(warehouse, start=START, end=END, bucket="1h").empty
    assert status_history(warehouse, start=START, end=END).empty


def test_what_waits_is_told_by_instance_the_newest_and_the_most_of_a_bucket(warehouse: Warehouse):
    tell(warehouse, waiting(0, 900, 5), waiting(3, 100, 7), waiting(5, 0, 0), waiting(4, 5 << 30, 1, OTHER))
    rows = backlogs(warehouse, start=START, end=END, bucket="5m")

    assert rows[["instance", "store", "events", "store_most", "events_most"]].to_numpy().tolist() == [
        [ONE, 100, 7, 900, 7],
        [OTHER, 5 << 30, 1, 5 << 30, 1],
        [ONE, 0, 0, 0, 0],
    ]
    assert rows["told_at"].tolist() == [START + timedelta(minutes=after) for after in (3, 4, 5)]


def test_an_instance_of_the_version_before_says_nothing_of_its_journals(warehouse: Warehouse):
    line = encode_lines([minute(0, 10)])
    older = line.replace(b',"store_backlog_bytes":null,"events_backlog_bytes":null', b"")
    events, bad = decode_lines(older)
    tell(warehouse, *events)

    assert (older != line, bad) == (True, [])
    assert availability(warehouse, start=START, end=END)["n"].tolist() == [10]
    assert backlogs(warehouse, start=START, end=END, bucket="1h").empty


def test_rows_from_before_there_was_a_column_are_kept_when_it_is_added(warehouse: Warehouse):
    for column in ("store_backlog_bytes", "events_backlog_bytes"):
        warehouse.command(f"ALTER TABLE availability_minutes DROP COLUMN {column}")
    tell(warehouse, minute(0, 10, store_backlog_bytes=1, events_backlog_bytes=1))  # an ingester of the version before
    warehouse.command("TRUNCATE TABLE schema_migrations")
    warehouse.migrate()
    tell(warehouse, waiting(1, 2, 3))

    assert availability(warehouse, start=START, end=END)["n"].tolist() == [10]
    assert backlogs(warehouse, start=START, end=END, bucket="1h")["store"].tolist() == [2]


def test_a_window_without_a_zone_and_an_unknown_bucket_are_refused(warehouse: Warehouse):
    with pytest.raises(BadInput):
        availability(warehouse, start=START.replace(tzinfo=None), end=END)
    with pytest.raises(BadInput):
        availability(warehouse, start=START, end=END, bucket="2m")
    with pytest.raises(BadInput):
        backlogs(warehouse, start=START, end=END, bucket="2m")
