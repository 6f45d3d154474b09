"""What is read within a page by those who do not see or use no mouse: the frame of a report, the tables of words that scroll."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from playwright.sync_api import Frame, Page, expect

from tests.app.browser.conftest import Stage
from tests.app.browser.test_keyboard import walked
from tests.app.browser.test_pages import faults
from tests.app.conftest import until
from tests.app.looking import SLOW_MS, see

pytestmark = pytest.mark.browser

SUBJECT = "SMS quality"
LISTS = ("What waits in the journals", "Changes of status", "Jobs of the scheduler")


def preview(stage: Stage, page: Page) -> Frame:
    """Open the preview of yesterday's report, and hand back its frame."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    page.goto(f"{stage.url}/reports?preview={yesterday}")
    see(page, "It is sent to nobody")
    expect(page.frame_locator("iframe").get_by_text("The ten metrics")).to_be_visible(timeout=SLOW_MS)
    return next(frame for frame in page.frames if frame.url.startswith("data:text/html"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_preview_has_no_grave_fault_around_its_frame_and_within(
    stage: Stage, page: Page, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    frame = preview(stage, page)

    for part in (page, frame):
        until(lambda part=part: faults(part) == [], what=lambda part=part: "\n".join(faults(part)))  # type: ignore[misc]


def test_a_preview_is_reached_and_read_by_keys(stage: Stage, page: Page) -> None:
    frame = preview(stage, page)

    page.get_by_role("button", name="Download as HTML").focus()
    names = list(walked(page, until=SUBJECT))
    page.keyboard.press("PageDown")

    assert names[-1].startswith(SUBJECT), names
    until(lambda: frame.evaluate("scrollY") > 0, what=lambda: "the frame does not move")


def test_what_is_told_of_the_journals_and_the_jobs_is_reached_by_keys(stage: Stage, page: Page) -> None:
    page.goto(f"{stage.url}/operations?live=off")  # a renewal takes the focus with it
    for words in ("3.24 MiB", "the primary store is down", "send reports", "well, "):
        see(page, words)

    names = list(walked(page, until=LISTS[-1]))

    assert [name for name in names if name in LISTS] == list(LISTS), "; ".join(names)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
