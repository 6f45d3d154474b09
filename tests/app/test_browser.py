"""The dashboard in a real browser: with data, without, with its warehouse down and back, and by a link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.settings.servers import Warehouse as WarehouseSettings
from core.warehouse import Warehouse, connect
from sandbox.gateway.launch import RunningGateway
from tests.app.conftest import Dashboard
from tests.app.looking import SLOW_MS, see
from tests.app.traffic import load

pytestmark = pytest.mark.browser


def test_the_overview_draws_its_tiles_and_asks_nobody_outside(
    warehouse: Warehouse, dashboard: Dashboard, page: Page
) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)
    page.goto(dashboard.url)

    expect(page.locator(".hg-tile")).to_have_count(10, timeout=SLOW_MS)
    expect(page.locator("img.hg-spark")).to_have_count(10)
    see(page, "Data until")
    assert page.outside == []  # type: ignore[attr-defined]


def test_a_choice_is_in_the_link_and_the_link_brings_it_back(
    warehouse: Warehouse, dashboard: Dashboard, page: Page
) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)
    page.goto(dashboard.url)
    expect(page.locator(".hg-tile")).to_have_count(10, timeout=SLOW_MS)

    page.get_by_text("7 days").click()
    page.wait_for_url("**range=7d**")
    page.get_by_text("Filters").first.click()
    page.get_by_role("combobox", name="Provider").click()
    page.get_by_role("option", name="beacon").click()
    page.wait_for_url("**provider=beacon**")
    link = page.url

    page.goto("about:blank")
    page.goto(link)
    see(page, "Provider: beacon")
    expect(page.get_by_role("radio", name="7 days")).to_be_checked()


def test_a_deep_link_to_carriers_shows_its_metric_lines_and_bucket(
    warehouse: Warehouse, dashboard: Dashboard, page: Page
) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)
    page.goto(
        f"{dashboard.url}/carriers?metric=fill_rate&split=carrier&bucket=6h&range=24h&tz=Asia/Shanghai&carrier=O2"
    )

    expect(page.locator(".js-plotly-plot")).to_have_count(1, timeout=SLOW_MS)
    see(page, "Of the codes that went out")
    see(page, "One point stands for 6 hours")
    see(page, "(Asia/Shanghai)")


def test_a_tile_leads_to_the_carriers_behind_it(warehouse: Warehouse, dashboard: Dashboard, page: Page) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)
    page.goto(f"{dashboard.url}/?range=6h")

    page.get_by_role("link", name="Fill rate").click()

    page.wait_for_url("**/carriers?*range=6h*metric=fill_rate*")
    expect(page.locator(".js-plotly-plot")).to_have_count(3, timeout=SLOW_MS)


def test_the_table_can_be_taken_along(warehouse: Warehouse, dashboard: Dashboard, page: Page) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)
    page.goto(f"{dashboard.url}/carriers")

    with page.expect_download() as taken:
        page.get_by_role("button", name="Download this table").click()

    lines = Path(taken.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "carrier,value,n,settled,volume"
    assert [line.split(",")[0] for line in lines[1:]] == ["Vodafone", "O2", "(carrier unknown)"]


def test_without_data_it_says_how_to_get_some_and_shows_it_when_it_comes(
    warehouse: Warehouse, dashboard: Dashboard, page: Page
) -> None:
    page.goto(dashboard.url)
    see(page, "There is no data yet")

    load(warehouse, until=datetime.now(UTC), hours=24)

    expect(page.locator(".hg-tile")).to_have_count(10, timeout=SLOW_MS)


def test_a_warehouse_that_went_down_is_told_and_the_page_goes_on_when_it_is_back(
    gateway: RunningGateway,
    warehouse_settings: WarehouseSettings,
    warehouse: Warehouse,
    dashboard: Dashboard,
    page: Page,
) -> None:
    load(warehouse, until=datetime.now(UTC) - timedelta(minutes=1), hours=24)
    page.goto(dashboard.url)
    expect(page.locator(".hg-tile")).to_have_count(10, timeout=SLOW_MS)

    gateway.stop()
    try:
        see(page, "The warehouse does not answer.")
        see(page, f"{gateway.host}:{gateway.port}")
    finally:
        gateway.restart()

    connect(warehouse_settings).close()
    expect(page.locator(".hg-tile")).to_have_count(10, timeout=SLOW_MS)
    expect(page.get_by_text("The warehouse does not answer.")).to_have_count(0)


def test_a_refresh_keeps_the_place_on_the_page(warehouse: Warehouse, dashboard: Dashboard, page: Page) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)
    page.set_viewport_size({"width": 800, "height": 500})
    page.goto(f"{dashboard.url}/carriers")
    expect(page.locator(".js-plotly-plot")).to_have_count(3, timeout=SLOW_MS)
    place = "document.querySelector('[data-testid=stMain]').scrollTop"
    page.evaluate(f"{place} = 400")
    load(warehouse, until=datetime.now(UTC) + timedelta(minutes=10), hours=1)
    before = page.locator(".hg-fresh b").inner_text()

    expect(page.locator(".hg-fresh b")).not_to_have_text(before, timeout=SLOW_MS)

    assert page.evaluate(place) == 400
