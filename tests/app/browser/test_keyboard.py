"""Without a mouse: the order in which a page is walked, and what its keys do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.app.browser.conftest import Stage
from tests.app.looking import SLOW_MS, see

pytestmark = pytest.mark.browser

STEPS_MAX = 90
IN_ORDER = (
    "Overview", "Carriers", "Providers", "Regions", "Funnel", "Incidents", "Messages", "Operations", "Reports",
    "1 hour", "Time zone", "Compare with", "Filters", "Live",
    "Since ", "Third-party success rate", "About Third-party success rate", "Resend rate",
    "Download the ten metrics (CSV)",
)  # fmt: skip
CONTROLS = (
    ("link", "Reports"), ("radio", "1 hour"), ("combobox", "Time zone"), ("combobox", "Compare with"), ("switch", "Live"),
    ("button", "Download the ten metrics (CSV)"),
)  # fmt: skip
"""What the browser draws with scripts that it fetches: the numbers may stand there before them."""
NAME = """() => {
    const one = document.activeElement;
    const told = one.ariaLabel || one.labels?.[0]?.innerText || one.innerText || one.title || one.tagName;
    return told.trim().split('\\n')[0];
}"""


def walked(page: Page, *, until: str) -> Iterator[str]:
    """The names of what the Tab key reaches, until it is at the one that begins so."""
    for _ in range(STEPS_MAX):
        page.keyboard.press("Tab")
        name = str(page.evaluate(NAME))
        yield name
        if name.startswith(until):
            return


def test_the_overview_is_walked_from_the_top_to_the_bottom(stage: Stage, page: Page) -> None:
    page.goto(f"{stage.url}/?live=off")  # a renewal takes the focus with it
    expect(page.locator(".hg-tile")).to_have_count(10, timeout=SLOW_MS)
    for role, name in CONTROLS:
        page.get_by_role(role, name=name).wait_for()

    names = list(walked(page, until=IN_ORDER[-1]))

    found = [next((name for name in names if name.startswith(one)), "") for one in IN_ORDER]
    assert "" not in found, f"{dict(zip(IN_ORDER, found, strict=True))}: {'; '.join(names)}"
    assert found == sorted(found, key=names.index)


def test_what_a_metric_means_is_shown_to_who_walks_to_its_mark(stage: Stage, page: Page) -> None:
    page.goto(stage.url)
    mark = page.get_by_label("About Fill rate")

    mark.focus(timeout=SLOW_MS)

    expect(page.locator("#hg-tip-fill_rate")).to_be_visible()


def test_a_row_of_a_table_is_chosen_by_keys(stage: Stage, page: Page) -> None:
    page.goto(f"{stage.url}/incidents")
    table = page.locator("[data-testid=stDataFrame] canvas").first
    see(page, "Choose a row to see the evidence")

    table.focus(timeout=SLOW_MS)
    for key in ("ArrowDown", "ArrowRight", "Shift+Space"):
        page.keyboard.press(key)

    page.wait_for_url("**/incidents?*incident=one*")
    see(page, "What to do")
