"""What changes under an open page: data comes, more of it comes, the warehouse goes down and is back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from core.warehouse import connect
from sandbox.gateway.launch import RunningGateway
from tests.app.browser.conftest import Stage, staged
from tests.app.browser.places import OF_THE_WAREHOUSE, WITH_DATA
from tests.app.looking import SLOW_MS, see
from tests.app.traffic import load
from tests.support.warehouses import Databases

pytestmark = pytest.mark.browser

OPEN_BEFORE = ("", "carriers")


@pytest.fixture(scope="module")
def growing(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A dashboard whose warehouse is empty until a test loads something."""
    with staged(databases, tmp_path_factory.mktemp("growing")) as made:
        yield made


def test_without_data_it_says_how_to_get_some_and_shows_it_when_it_comes(growing: Stage, page: Page) -> None:
    page.goto(growing.url)
    see(page, "There is no data yet")

    load(growing.warehouse, until=datetime.now(UTC), hours=24)

    expect(page.locator(".hg-tile")).to_have_count(10, timeout=SLOW_MS)


def test_a_refresh_keeps_the_place_on_the_page(growing: Stage, page: Page) -> None:
    load(growing.warehouse, until=datetime.now(UTC), hours=24)
    page.set_viewport_size({"width": 800, "height": 500})
    page.goto(f"{growing.url}/carriers")
    expect(page.locator(".js-plotly-plot")).to_have_count(3, timeout=SLOW_MS)
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop = 400")
    place = place_of_last_panel(page)
    before = page.locator(".hg-fresh b").inner_text()
    load(growing.warehouse, until=datetime.now(UTC) + timedelta(minutes=10), hours=1)

    expect(page.locator(".hg-fresh b")).not_to_have_text(before, timeout=SLOW_MS)

    assert place_of_last_panel(page) == pytest.approx(place, abs=2)


def place_of_last_panel(page: Page) -> float:
    """How far below the upper edge of the window; what stands above may have become a line longer.

    Asked in one step of the page: a refresh may be putting another panel in the place of this one.
    """
    found = page.wait_for_function(
        """() => {
            const panels = document.querySelectorAll(".js-plotly-plot");
            const box = panels.length === 3 ? panels[2].getBoundingClientRect() : null;
            return box && box.height ? { y: box.y } : null;
        }""",
        timeout=SLOW_MS,
    )
    return float(found.json_value()["y"])


def test_every_page_tells_of_a_warehouse_that_is_down_and_goes_on_when_it_is_back(
    gateway: RunningGateway, stage: Stage, page: Page
) -> None:
    pages = {place: page.context.new_page() for place in OF_THE_WAREHOUSE}
    for place in OPEN_BEFORE:
        pages[place].goto(f"{stage.url}/{place}")
        see(pages[place], WITH_DATA[place])
    gateway.stop()
    try:
        for place in OF_THE_WAREHOUSE:
            if place not in OPEN_BEFORE:
                pages[place].goto(f"{stage.url}/{place}")
        for opened in pages.values():
            see(opened, "The warehouse does not answer.")
            see(opened, f"{gateway.host}:{gateway.port}")
    finally:
        gateway.restart()

    connect(stage.settings).close()
    for place, opened in pages.items():
        see(opened, WITH_DATA[place])
        expect(opened.get_by_text("The warehouse does not answer.")).to_have_count(0)
        opened.close()
