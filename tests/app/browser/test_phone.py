"""At the width of a telephone: nothing has to be moved sideways, and everything can be reached."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.app.browser.conftest import Stage
from tests.app.browser.places import WITH_DATA
from tests.app.conftest import until
from tests.app.looking import SLOW_MS, see

pytestmark = pytest.mark.browser

WIDTH, HEIGHT = 360, 740
SIDEWAYS = "() => document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth"


@pytest.fixture
def phone(page: Page) -> Page:
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    return page


@pytest.mark.parametrize("place", WITH_DATA)
def test_no_page_is_wider_than_the_screen(stage: Stage, phone: Page, place: str) -> None:
    phone.goto(f"{stage.url}/{place}")
    see(phone, WITH_DATA[place])

    until(lambda: phone.evaluate(SIDEWAYS) <= 0, what=lambda: f"{phone.evaluate(SIDEWAYS)} pixels too wide")


def test_a_table_of_words_is_cards(stage: Stage, phone: Page) -> None:
    phone.goto(f"{stage.url}/operations")
    see(phone, "the primary store is down")

    expect(phone.locator(".hg-texts thead").first).to_be_hidden(timeout=SLOW_MS)


def test_every_filter_can_be_reached(stage: Stage, phone: Page) -> None:
    phone.goto(f"{stage.url}/carriers")
    phone.get_by_role("button", name="Filters").click(timeout=SLOW_MS)

    last = phone.get_by_text("Template", exact=True)
    last.scroll_into_view_if_needed(timeout=SLOW_MS)
    expect(last).to_be_in_viewport()
