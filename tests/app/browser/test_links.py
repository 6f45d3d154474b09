"""Every view is a link: it shows what it asks for, and what is chosen is in it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.app.browser.conftest import Stage
from tests.app.browser.places import AS_LINKED
from tests.app.looking import SLOW_MS, see

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("link", AS_LINKED)
def test_a_link_shows_what_it_asks_for(stage: Stage, page: Page, link: str) -> None:
    chosen, *words = AS_LINKED[link]
    page.goto(f"{stage.url}/{link}")

    for word in words:
        see(page, word)
    if chosen:
        expect(page.get_by_role("radio", name=chosen, exact=True)).to_be_checked(timeout=SLOW_MS)


def test_a_choice_is_in_the_link_and_the_link_brings_it_back(stage: Stage, page: Page) -> None:
    page.goto(stage.url)
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


def test_a_comparison_is_in_the_link_and_the_link_brings_it_back(stage: Stage, page: Page) -> None:
    page.goto(f"{stage.url}/regions?range=6h")
    see(page, "By region")

    page.get_by_role("combobox", name="Compare with").click()
    page.get_by_role("option", name="yesterday").click()
    page.wait_for_url("**compare=day**")
    link = page.url

    page.goto("about:blank")
    page.goto(link)
    see(page, "Changes are against yesterday at this age")
    expect(page.get_by_role("combobox", name="Compare with")).to_have_value("yesterday")


def test_another_page_shows_the_same_range_and_filters_and_no_single_incident(stage: Stage, page: Page) -> None:
    page.goto(f"{stage.url}/incidents?incident=one&range=6h&provider=aurora")
    see(page, "What to do")

    page.locator("header").get_by_role("link", name="Providers").click()
    page.wait_for_url("**/providers?*range=6h*provider=aurora*")
    see(page, "Provider: aurora")
    page.locator("header").get_by_role("link", name="Incidents").click()

    page.wait_for_url("**/incidents?*range=6h*provider=aurora*")
    see(page, "Open now (1)")
    assert "incident=" not in page.url
