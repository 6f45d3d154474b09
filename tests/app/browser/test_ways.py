"""The ways that a reader takes: from an incident to the messages behind it, from a point of a chart, from a table, by a download."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.warehouse import connect
from sandbox.gateway.launch import RunningGateway
from tests.app.browser.conftest import Stage
from tests.app.browser.places import OF_THE_WAREHOUSE, WITH_DATA
from tests.app.looking import SLOW_MS, see

pytestmark = pytest.mark.browser


def test_an_open_incident_leads_to_the_messages_behind_it(stage: Stage, page: Page) -> None:
    page.goto(stage.url)

    page.locator(".hg-incident a").click()
    page.wait_for_url("**/incidents?*incident=one*")
    see(page, "What to do")
    page.get_by_role("link", name="The messages behind it").click()

    page.wait_for_url("**/messages?*provider=aurora*")
    see(page, "Choose a row to read its story")
    expect(page.get_by_role("radio", name="Not arrived")).to_be_checked()
    see(page, "Carrier: Vodafone")


def test_a_point_of_a_panel_leads_to_its_carrier_and_its_messages(stage: Stage, page: Page) -> None:
    page.goto(f"{stage.url}/carriers?bucket=1h")
    panel = page.locator(".js-plotly-plot").nth(1)
    expect(panel.locator(".scatterlayer .lines").first).to_be_visible(timeout=SLOW_MS)
    area = panel.locator(".nsewdrag").bounding_box()
    assert area is not None

    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    page.mouse.click(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)

    page.wait_for_url(re.compile(r"carrier=O2.*point=|point=.*carrier=O2"))
    expect(page.locator(".js-plotly-plot")).to_have_count(1, timeout=SLOW_MS)
    page.get_by_role("link", name="all messages of that time").click()
    page.wait_for_url("**/messages?*range=custom*carrier=O2*")
    see(page, "Choose a row to read its story")


def test_the_earlier_period_is_in_the_link(stage: Stage, page: Page) -> None:
    page.goto(f"{stage.url}/?range=6h&compare=day")

    see(page, "yesterday 9")


@pytest.mark.parametrize(
    ("place", "button", "columns"),
    [
        ("", "Download the ten metrics", "metric,unit,value,p95,n,settled,week_before,week_before_n"),
        ("messages", "Download this list", "request_id,attempt,submitted_at,"),
        ("incidents", "Download this list", "state,name,where,since,lasted,"),
    ],
)
def test_what_is_shown_can_be_taken_along(stage: Stage, page: Page, place: str, button: str, columns: str) -> None:
    page.goto(f"{stage.url}/{place}")

    with page.expect_download() as taken:
        page.get_by_role("button", name=button).click()

    assert Path(taken.value.path()).read_text(encoding="utf-8-sig").splitlines()[0].startswith(columns)


def test_every_page_tells_of_a_warehouse_that_is_down_and_goes_on_when_it_is_back(
    gateway: RunningGateway, stage: Stage, page: Page
) -> None:
    pages = {place: page.context.new_page() for place in OF_THE_WAREHOUSE}
    gateway.stop()
    try:
        for place, opened in pages.items():
            opened.goto(f"{stage.url}/{place}")
        for opened in pages.values():
            see(opened, "The warehouse does not answer.")
    finally:
        gateway.restart()

    connect(stage.settings).close()
    for place, opened in pages.items():
        see(opened, WITH_DATA[place])
        opened.close()
