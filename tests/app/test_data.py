"""What the pages ask of a real warehouse: the right numbers, in a bounded number of questions, read-only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from app import timeframe
from app.charts import operations as charts
from app.data import basics
from app.data import carriers as carriers_data
from app.data import funnel as funnel_data
from app.data import incidents as incidents_data
from app.data import messages as messages_data
from app.data import operations as operations_data
from app.data import overview as overview_data
from app.data import providers as providers_data
from app.data import regions as regions_data
from app.data.uptime import uptime
from app.data.usual import usual
from core.errors import WarehouseRefused
from core.events import Availability, encode_lines
from core.settings.sending import Price
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse, connect
from metrics.values import Values
from tests.app.traffic import load

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
DAY = timeframe.moving("24h", NOW)
WHEN: dict[str, Any] = {"now": NOW, "on_time_seconds": 60}
PRICES = [Price(provider="aurora", country="DE", per_part=0.05)]


class Counting:
    """A warehouse that counts the questions it passes on."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self.asked: list[str] = []  # from several threads

    def query_df(self, sql: str, parameters: Mapping[str, Any] | None = None, **more: Any) -> pd.DataFrame:
        self.asked.append(sql)
        return self._warehouse.query_df(sql, parameters, **more)

    def query_rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        self.asked.append(sql)
        return self._warehouse.query_rows(sql, parameters)


def overview(
    warehouse: Any, window: timeframe.Window = DAY, compare: str = "week", **filters: tuple[str, ...]
) -> overview_data.OverviewData:
    return overview_data.answer(
        warehouse, window, "UTC", tuple(filters.items()), compare=compare, now=NOW, on_time_seconds=60
    )


def carriers(warehouse: Any, **changes: Any) -> carriers_data.CarriersData:
    asked = {"slug": "delivery_rate", "split": "provider", "wanted": "auto", "panels": 12} | changes
    return carriers_data.answer(warehouse, DAY, "UTC", (), now=NOW, on_time_seconds=60, **asked)


def test_the_overview_has_every_metric_for_the_window_and_for_the_week_before(warehouse: Warehouse) -> None:
    attempts = load(warehouse, until=NOW, hours=24)
    load(warehouse, until=NOW - timedelta(days=7), hours=24, delivered_of_ten=5)

    answer = overview(warehouse)

    assert set(basics.ALL_SLUGS) == set(answer.now) == set(answer.before) == set(answer.sparks)
    assert attempts == answer.now["third_party_success_rate"].n
    assert pytest.approx(0.9, abs=0.01) == answer.now["delivery_rate"].value
    assert pytest.approx(0.5, abs=0.01) == answer.before["delivery_rate"].value
    assert 4.0 == answer.now["delivery_time"].value == answer.now["delivery_time"].p95


def test_the_overview_compares_with_the_day_before_or_with_nothing(warehouse: Warehouse) -> None:
    load(warehouse, until=NOW, hours=24)
    load(warehouse, until=NOW - timedelta(days=1), hours=24, delivered_of_ten=5)

    before = overview(warehouse, compare="day").before

    assert before is not None
    assert pytest.approx(0.5, abs=0.01) == before["delivery_rate"].value
    nothing = overview(warehouse, compare="none")

    assert (nothing.before, nothing.other) == (None, None)


@pytest.mark.parametrize(("compare", "other"), [("day", "week"), ("week", "day")])
def test_the_comparison_that_was_not_chosen_is_asked_beside_it(warehouse: Warehouse, compare: str, other: str) -> None:
    load(warehouse, until=NOW, hours=24)
    load(warehouse, until=NOW - timedelta(days=1), hours=24, delivered_of_ten=5)

    both = overview(warehouse, compare=compare)

    assert both.before is not None
    assert both.before == overview(warehouse, compare=other).other
    assert both.other == overview(warehouse, compare=other).before
    assert both.before != both.other


def test_a_span_that_still_settles_is_compared_with_what_was_known_so_much_earlier(warehouse: Warehouse) -> None:
    load(warehouse, until=NOW, hours=1)
    load(warehouse, until=NOW - timedelta(days=1), hours=1)
    hour = timeframe.moving("1h", NOW)

    asked = overview(warehouse, hour, compare="day")
    of_weeks = overview(warehouse, timeframe.moving("7d", NOW), compare="week")

    assert asked.same_age
    assert asked.before is not None
    assert asked.now == asked.before
    assert not of_weeks.same_age


def test_what_has_no_attempts_is_undefined_and_not_zero(warehouse: Warehouse) -> None:
    answer = overview(warehouse)

    assert answer.empty
    assert {None} == {reading.value for reading in answer.now.values()}


def test_a_pause_in_the_traffic_is_a_gap_in_the_sparkline(warehouse: Warehouse) -> None:
    load(warehouse, until=NOW - timedelta(hours=20), hours=4)
    load(warehouse, until=NOW, hours=4)

    values = overview(warehouse).sparks["delivery_rate"].values

    assert values[0] is not None
    assert None in values[4:-4]
    assert values[-1] is not None


def test_the_sparkline_ends_where_the_traffic_did(warehouse: Warehouse) -> None:
    load(warehouse, until=NOW - timedelta(hours=6), hours=18)

    values = overview(warehouse).sparks["delivery_rate"].values

    assert [value is not None for value in values] == [True] * 18 + [False] * 6


def test_an_outage_in_which_no_call_was_counted_is_a_gap_in_the_availability(warehouse: Warehouse) -> None:
    minutes = [
        Availability(at=NOW - timedelta(hours=hours), instance="a" * 32, calls=100, failed=0, shed=0)
        for hours in (8, 2)
    ]
    warehouse.insert_json("availability_minutes", encode_lines(minutes))

    course = uptime(warehouse, DAY).course
    (line,) = charts.availability(course, window=DAY, zone="UTC", shade="light").data

    assert (line.y[0], line.y[-1], set(line.y[1:-1])) == (100.0, 100.0, {None})
    assert course["n"].sum() == 200


def test_a_filter_keeps_only_its_values(warehouse: Warehouse) -> None:
    attempts = load(warehouse, until=NOW, hours=24)

    assert attempts // 2 == overview(warehouse, provider=("aurora",)).now["third_party_success_rate"].n
    assert attempts // 6 == overview(warehouse, carrier=("",)).now["third_party_success_rate"].n


def test_carriers_come_by_volume_and_the_unknown_one_is_among_them(warehouse: Warehouse) -> None:
    attempts = load(warehouse, until=NOW, hours=24)

    answer = carriers(warehouse)

    assert list(answer.totals["carrier"]) == ["Vodafone", "O2", ""]
    assert attempts == answer.totals["volume"].sum() == answer.series["n"].sum()
    assert answer.lines == ("aurora", "beacon")


@pytest.mark.parametrize("split", [None, "carrier", "country", "template"])
def test_carriers_are_split_by_any_dimension_or_none(warehouse: Warehouse, split: str | None) -> None:
    attempts = load(warehouse, until=NOW, hours=24)

    answer = carriers(warehouse, split=split)

    assert attempts == answer.series["n"].sum()
    assert {None: 1, "carrier": 3, "country": 1, "template": 1}[split] == len(answer.lines)


def test_only_the_largest_carriers_are_drawn_and_the_table_has_all(warehouse: Warehouse) -> None:
    load(warehouse, until=NOW, hours=24)

    answer = carriers(warehouse, panels=1)

    assert {"Vodafone"} == set(answer.series["carrier"])
    assert len(answer.totals) == 3


def test_a_bucket_too_fine_for_the_range_is_changed_and_said(warehouse: Warehouse) -> None:
    load(warehouse, until=NOW, hours=24)

    answer = carriers(warehouse, wanted="1m")

    assert answer.bucket == "5m"
    assert "1,440 points" in answer.changed


QUESTIONS: dict[str, tuple[int, Callable[[Any], object]]] = {
    "overview": (7, overview),  # of few attempts the course is asked for twice
    "carriers": (2, carriers),
    "usual": (3, lambda asked: usual(asked, DAY, "UTC", (), slug="fill_rate", bucket="1h", carriers=("O2",), **WHEN)),
    "countries": (1, lambda asked: carriers_data.countries_of(asked, DAY, now=NOW)),
    "providers": (
        5,
        lambda asked: providers_data.answer(asked, DAY, "UTC", (), slug="fill_rate", prices=PRICES, **WHEN),
    ),
    "regions": (2, lambda asked: regions_data.answer(asked, DAY, "UTC", (), slug="fill_rate", **WHEN)),
    "funnel": (3, lambda asked: funnel_data.answer(asked, DAY, (), dimension="carrier", now=NOW)),
    "incidents": (3, lambda asked: incidents_data.answer(asked, DAY, ())),
    "what else moved": (2, lambda asked: incidents_data.moved(asked, DAY, (("provider", ("aurora",)),), **WHEN)),
    "messages": (2, lambda asked: messages_data.within(asked, DAY, (), troubled=True)),
    "operations": (10, lambda asked: operations_data.answer(asked, DAY, now=NOW)),
    "filters": (2, lambda asked: basics.choices(asked, DAY)),
}


@pytest.mark.parametrize("page", QUESTIONS)
def test_a_page_asks_a_bounded_number_of_questions(warehouse: Warehouse, page: str) -> None:
    load(warehouse, until=NOW, hours=24)
    counted = Counting(warehouse)
    most, ask = QUESTIONS[page]

    ask(counted)

    assert len(counted.asked) == most


def test_the_choices_of_a_filter_are_what_occurred_until_a_week_before(warehouse: Warehouse) -> None:
    load(warehouse, until=NOW - timedelta(days=5), hours=1)

    found = basics.choices(warehouse, DAY)

    assert found["provider"] == Values(("aurora", "beacon"))
    assert found["carrier"] == Values(("", "O2", "Vodafone"))


def test_freshness_is_the_newest_attempt(warehouse: Warehouse) -> None:
    assert basics.newest(warehouse) is None

    load(warehouse, until=NOW, hours=1)

    assert NOW - timedelta(minutes=10) == basics.newest(warehouse)


def test_the_dashboards_connection_cannot_write(warehouse: Warehouse, warehouse_settings: WarehouseSettings) -> None:
    reader = connect(warehouse_settings, readonly=True)

    with pytest.raises(WarehouseRefused):
        load(reader, until=NOW, hours=1)
    assert overview(reader).empty
    reader.close()


def test_a_warehouse_without_tables_is_known_by_the_number_of_its_refusal(
    warehouse: Warehouse, warehouse_settings: WarehouseSettings
) -> None:
    warehouse.command("DROP TABLE attempts")
    with pytest.raises(WarehouseRefused) as no_table:
        basics.newest(warehouse)

    absent = warehouse_settings.model_copy(update={"database": "nobody_made_this"})
    with pytest.raises(WarehouseRefused) as no_database:
        basics.newest(connect(absent, readonly=True))

    assert {no_table.value.code, no_database.value.code} == basics.NOT_THERE
