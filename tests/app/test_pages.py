"""The pages run in this process: every state has its words, and no state is an exception."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from app import controls, words
from core.events import Send, encode_lines
from core.ids import uuid7_from
from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse
from metrics.catalogue import METRICS
from sandbox.ports import free_port
from tests.app.looking import Pages, run, text
from tests.app.traffic import load


@pytest.fixture
def page(pages: Pages) -> AppTest:
    """The dashboard, which opens with the Overview."""
    return pages.dashboard()


@pytest.fixture
def carriers(pages: Pages) -> AppTest:
    return pages.view("carriers")


def test_without_any_data_the_page_says_how_to_get_some(warehouse: Warehouse, page: AppTest) -> None:
    shown = text(run(page))

    assert "There is no data yet" in shown
    assert "heliograph demo" in shown


def test_without_a_database_it_says_the_same(warehouse_settings: WarehouseSettings, page: AppTest) -> None:
    assert "There is no data yet" in text(run(page))


def test_the_overview_shows_ten_tiles_and_how_fresh_they_are(warehouse: Warehouse, page: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)

    shown = text(run(page))

    assert shown.count('class="hg-tile"') == len(METRICS)
    assert "Data until" in shown
    assert re.search(r">9\d\.\d+<small> %<", shown)


def test_a_range_that_ends_weeks_before_it_begins_is_said_in_words(warehouse: Warehouse, page: AppTest) -> None:
    shown = text(run(page, range="custom", **{"from": "2026-03-20T10:00", "to": "2026-03-01T10:00"}))

    assert "The range ends before it begins." in shown


def test_a_range_without_data_says_until_when_there_is_some(warehouse: Warehouse, page: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC) - timedelta(days=3), hours=2)

    shown = text(run(page, range="1h"))

    assert "No attempt was submitted in this range" in shown
    assert 'class="hg-tile"' not in shown


def test_filters_that_leave_nothing_are_named_as_the_reason(warehouse: Warehouse, page: AppTest) -> None:
    now = datetime.now(UTC)
    load(warehouse, until=now - timedelta(days=3), hours=2)

    assert "that matches the filters" in text(run(page, range="1h", provider="aurora"))


def test_an_inverted_range_is_told_and_the_page_stays_usable(warehouse: Warehouse, page: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)

    shown = run(page, **{"range": "custom", "from": "2026-03-02T10:00", "to": "2026-03-01T10:00"})
    assert "ends before it begins" in text(shown)

    shown.get("button_group")[0].set_value("24h").run()
    assert 'class="hg-tile"' in text(shown)


def test_unknown_values_of_a_link_are_left_out_with_a_notice(warehouse: Warehouse, page: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)

    shown = text(run(page, provider=["aurora", "nobody"], metric="happiness"))

    assert "nobody" in shown
    assert "happiness" in shown
    assert "Provider: aurora" in shown
    assert 'class="hg-tile"' in shown


def test_a_warehouse_that_is_down_is_named_with_its_place(pages: Pages) -> None:
    port = free_port()

    shown = text(run(pages.dashboard(warehouse_port=str(port)), provider="aurora"))

    assert "does not answer" in shown
    assert f"127.0.0.1:{port}" in shown
    assert "tries again every 15 s" in shown
    assert r"check \[warehouse\]" in shown  # told as it is, and not obeyed as Markdown
    assert "Provider: aurora" in shown  # what the link filters by is kept


def test_settings_that_cannot_work_are_told_on_the_page(pages: Pages) -> None:
    assert "settings cannot work" in text(run(pages.dashboard(warehouse_port="many")))


def test_carriers_shows_a_panel_for_each_and_a_table_of_all(warehouse: Warehouse, carriers: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)

    shown = run(carriers)

    assert len(shown.get("plotly_chart")) == 3
    assert list(shown.dataframe[0].value["carrier"]) == ["Vodafone", "O2", "(carrier unknown)"]
    assert len(shown.get("download_button")) == 2


@pytest.mark.parametrize("metric", [metric.slug for metric in METRICS])
def test_carriers_shows_any_metric(warehouse: Warehouse, carriers: AppTest, metric: str) -> None:
    load(warehouse, until=datetime.now(UTC), hours=6)

    shown = run(carriers, metric=metric, range="6h", split="country")

    assert len(shown.get("plotly_chart")) == 3


def test_a_metric_undefined_everywhere_is_told(warehouse: Warehouse, carriers: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=6, delivered_of_ten=0)

    shown = run(carriers, metric="delivery_time", range="6h")

    assert "Delivery time is undefined in all of this range" in text(shown)
    assert "0.00 s" not in text(shown)
    assert words.UNDEFINED in str(shown.get("plotly_chart")[0].proto.spec.encode().decode("unicode_escape"))


def test_a_choice_is_written_to_the_link(warehouse: Warehouse, page: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)
    shown = run(page)

    shown.get("button_group")[0].set_value("7d").run()
    shown.session_state[controls.FILTER_BOX] = True
    shown.run()
    shown.multiselect(key="filter-provider").set_value(["aurora"]).run()

    assert shown.query_params["range"] in ("7d", ["7d"])
    assert shown.query_params["provider"] in ("aurora", ["aurora"])


def of_provider(name: str) -> list[Send]:
    at = datetime.now(UTC) - timedelta(minutes=2)
    return [
        Send(at=at, request_id=uuid7_from(at, name), attempt=1, category="code", cause="first", outcome="accepted",
             provider=name)
    ]  # fmt: skip


def test_a_filter_value_that_is_younger_than_the_kept_ones_is_shown(warehouse: Warehouse, page: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)
    run(page, provider="aurora")
    warehouse.insert_json("send_events", encode_lines(of_provider("comet")))

    shown = text(run(page, provider="comet"))

    assert "Provider: comet" in shown
    assert "left out" not in shown


def test_a_value_that_did_not_occur_is_not_asked_for_again_at_once(warehouse: Warehouse, page: AppTest) -> None:
    now = datetime.now(UTC)
    load(warehouse, until=now, hours=24)
    link = {"range": "custom", "from": f"{now - timedelta(days=1):%Y-%m-%dT%H:%M}", "to": f"{now:%Y-%m-%dT%H:%M}"}
    run(page, provider="comet", tz="UTC", **link)
    warehouse.insert_json("send_events", encode_lines(of_provider("comet")))

    assert "No provider called “comet” occurs here" in text(run(page, provider="comet", tz="UTC", **link))
