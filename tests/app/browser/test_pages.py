"""Every page in a real browser, with data and without; none has a serious fault for those who do not see or use no mouse."""

from __future__ import annotations

from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Frame, Page

from tests.app.browser.conftest import Stage
from tests.app.browser.places import WITH_DATA, WITHOUT_DATA
from tests.app.conftest import until
from tests.app.looking import see

pytestmark = pytest.mark.browser

IN_THE_DARK = ("", "carriers", "incidents?incident=one", "operations")
"""The pages that have everything that has a colour."""

GRAVE = ("serious", "critical")


def faults(page: Page | Frame) -> list[str]:
    """What axe-core calls serious or critical: the rule, and where."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


@pytest.mark.parametrize(
    ("scheme", "place"), [*(("light", place) for place in WITH_DATA), *(("dark", place) for place in IN_THE_DARK)]
)
def test_a_page_with_data_is_drawn_and_has_no_grave_fault(
    stage: Stage, page: Page, scheme: Literal["light", "dark"], place: str
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{stage.url}/{place}")
    see(page, WITH_DATA[place])

    # While a page is being drawn its texts are paler than they will be.
    until(lambda: faults(page) == [], what=lambda: "\n".join(faults(page)))
    assert page.outside == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(("place", "words"), WITHOUT_DATA.items())
def test_a_page_without_data_says_so(empty_stage: Stage, page: Page, place: str, words: str) -> None:
    page.goto(f"{empty_stage.url}/{place}")

    see(page, words)
