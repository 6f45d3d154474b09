"""Days are merged into one part once, when they are old enough, and no answer changes by it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from core.settings import Settings
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from metrics import hourly
from metrics.upkeep import SETTLED_AFTER_DAYS, run_upkeep, settle, told, unsettled
from tests.metrics.story import START, Request, all_of, at, tell

OLD = START + timedelta(days=SETTLED_AFTER_DAYS + 1)
PARTS = "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = 'attempts'"
STATE = "SELECT attempt, delivered, delivery_seconds FROM attempts FINAL ORDER BY request_id, attempt"


@pytest.fixture
def in_parts(warehouse: Warehouse) -> Warehouse:
    """A day in many parts, which nobody merges."""
    warehouse.command("SYSTEM STOP MERGES attempts")
    for number in range(20):
        for event in Request(str(number), seconds=number).sent().receipt("delivered", 30 + number).events:
            tell(warehouse, [event])
    return warehouse


def test_a_day_is_merged_into_one_part_and_says_the_same(in_parts: Warehouse):
    before = in_parts.query_rows(STATE)
    due = unsettled(in_parts, now=OLD)
    in_parts.command("SYSTEM START MERGES attempts")
    settle(in_parts, now=OLD)

    assert due == [START.date()]
    assert in_parts.query_rows(PARTS) == [(1,)]
    assert in_parts.query_rows(STATE) == before
    assert settle(in_parts, now=OLD) == []


def test_a_day_from_which_receipts_may_still_come_is_left_alone(in_parts: Warehouse):
    assert unsettled(in_parts, now=OLD - timedelta(days=1)) == []


def test_a_settled_day_is_merged_again_only_when_much_came_late(warehouse: Warehouse):
    warehouse.command("SYSTEM STOP MERGES attempts")
    tell(warehouse, all_of(*(Request(str(number), seconds=number).sent() for number in range(200))))
    warehouse.command("INSERT INTO settled_days SELECT {day:Date}, now()", {"day": START.date().isoformat()})

    def after(*numbers: int) -> list[date]:
        tell(warehouse, all_of(*(Request(str(number), seconds=number).receipt("delivered", 5) for number in numbers)))
        return unsettled(warehouse, now=OLD)

    assert after(7) == []
    assert after(8, 9, 10) == [START.date()]


def test_rows_of_the_rollup_that_nobody_names_any_more_are_swept(warehouse: Warehouse):
    tell(warehouse, Request("ana").sent().events)
    at_once = {"lasts": timedelta(), "quiet": timedelta(), "margin": timedelta()}
    hourly.build(warehouse, on_time_seconds=60, **at_once)
    warehouse.command("INSERT INTO rollup (hour, version, submitted) SELECT hour, 1, 7 FROM rollup")
    settle(warehouse, now=at(0))

    assert warehouse.query_rows("SELECT DISTINCT submitted FROM rollup") == [(1,)]


def test_upkeep_at_once_says_what_there_is_to_do_and_does_it(
    warehouse: Warehouse, warehouse_settings: WarehouseSettings, capsys: pytest.CaptureFixture[str]
):
    tell(warehouse, Request("ana").sent().events)
    warehouse.command(
        "ALTER TABLE touched_hours UPDATE touched_at = touched_at - toIntervalHour(1) WHERE 1 SETTINGS mutations_sync = 1"
    )
    settings = Settings(warehouse=warehouse_settings)
    to_do = told(settings)
    run_upkeep(settings, rollup=True, settling=False)
    after = told(settings)

    assert to_do == "hours to be rolled up: 3, days to be merged: 0"
    assert "hours rolled up: 3, days merged: 0" in capsys.readouterr().err
    assert after == "hours to be rolled up: 0, days to be merged: 0"
