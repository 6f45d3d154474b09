"""The ways that a reader takes: from an incident to the messages behind it, from a point of a chart, from a table, by a download."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from reports.watch.incidents import Teller
from tests.app.broken import incident
from tests.app.browser.conftest import Stage
from tests.app.browser.places import DOWNLOADS
from tests.app.looking import SLOW_MS, see

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("begins", ["banner", "alert"])
def test_an_open_incident_leads_to_the_messages_behind_it(stage: Stage, page: Page, begins: str) -> None:
    if begins == "banner":
        page.goto(stage.url)
        page.locator(".hg-incident a").click()
        page.wait_for_url("**/incidents?*incident=one*")
    else:
        page.goto(Teller("UTC", stage.url).link(incident(kind="delivery-drop")))
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

    page.wait_for_url(re.compile(r"carrier=O2.*point=\d+-\d+|point=\d+-\d+.*carrier=O2"))
    expect(page.locator(".js-plotly-plot")).to_have_count(1, timeout=SLOW_MS)
    page.get_by_role("link", name="all messages of that time").click()
    page.wait_for_url("**/messages?*range=custom*carrier=O2*")
    see(page, "Choose a row to read its story")


def test_a_tile_leads_to_the_carriers_behind_it(stage: Stage, page: Page) -> None:
    page.goto(f"{stage.url}/?range=6h")

    page.get_by_role("link", name="Fill rate").click()

    page.wait_for_url("**/carriers?*range=6h*metric=fill_rate*")
    expect(page.locator(".js-plotly-plot")).to_have_count(3, timeout=SLOW_MS)


@pytest.mark.parametrize("place", DOWNLOADS)
def test_what_is_shown_can_be_taken_along(stage: Stage, page: Page, place: str) -> None:
    button, begins = DOWNLOADS[place]
    page.goto(f"{stage.url}/{place}")

    with page.expect_download() as taken:
        page.get_by_role("button", name=button).click()

    assert Path(taken.value.path()).read_text(encoding="utf-8-sig").startswith(begins)


def test_a_chart_can_be_taken_along_as_a_picture(stage: Stage, page: Page) -> None:
    page.goto(f"{stage.url}/carriers")
    chart = page.locator(".js-plotly-plot").first
    chart.hover(timeout=SLOW_MS)

    with page.expect_download() as taken:
        chart.locator(".modebar-btn").first.click()

    assert Path(taken.value.path()).read_bytes().startswith(b"\x89PNG")


def test_what_draws_charts_is_fetched_once(stage: Stage, page: Page) -> None:
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if "PlotlyChart" in request.url else None)

    page.goto(f"{stage.url}/regions")
    expect(page.locator(".js-plotly-plot")).to_have_count(1, timeout=SLOW_MS)

    assert len(fetched) == 1


def test_what_draws_charts_is_fetched_before_there_is_one(empty_stage: Stage, page: Page) -> None:
    with page.expect_request(lambda request: "PlotlyChart" in request.url):
        page.goto(f"{empty_stage.url}/regions")

    see(page, "There is no data yet")


def test_a_click_on_another_page_waits_for_no_script(stage: Stage, page: Page) -> None:
    page.goto(stage.url)
    page.wait_for_function(
        """() => {
          const ahead = [...document.querySelectorAll('link[rel=modulepreload]')].map(link => link.href);
          const there = new Set(performance.getEntriesByType('resource').map(entry => entry.name));
          return ahead.some(name => name.includes('TextInput')) && ahead.every(name => there.has(name));
        }""",
        timeout=SLOW_MS,
    )
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if request.url.endswith(".js") else None)

    page.locator("header").get_by_role("link", name="Messages").click()
    see(page, "Choose a row to read its story")

    assert fetched == []


def test_after_a_number_all_messages_are_back_with_the_choice_of_which(stage: Stage, page: Page) -> None:
    page.goto(f"{stage.url}/messages")
    see(page, "Choose a row to read its story")
    page.get_by_role("textbox", name="Request id or number").fill(stage.number)
    page.get_by_role("button", name="Find").click()
    see(page, "Attempts of the last 30 days")
    expect(page.get_by_role("radio", name="Not arrived")).to_have_count(0, timeout=SLOW_MS)
    expect(page.get_by_text("The newest 200 are listed")).to_have_count(0, timeout=SLOW_MS)
    expect(page.locator("[data-stale=true]")).to_have_count(0, timeout=SLOW_MS)

    with page.expect_download() as taken:
        page.get_by_role("button", name="Download this list").click()
    page.get_by_role("button", name="All messages").click()

    expect(page.get_by_role("radio", name="Not arrived")).to_be_visible(timeout=SLOW_MS)
    name = taken.value.suggested_filename
    first, last = (datetime.strptime(at, "%Y%m%dT%H%M") for at in re.findall(r"\d+T\d+", name))  # noqa: DTZ007
    assert name.startswith("messages-of-number-")
    assert last - first == timedelta(days=30)
