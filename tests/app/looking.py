"""Runs a page in this process, and reads what it says; or waits for words in a browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest

SLOW_MS = 45_000


def run(page: AppTest, **link: str | list[str]) -> AppTest:
    page.query_params.update(link)
    page.run()
    assert not page.exception
    return page


def text(page: AppTest) -> str:
    """All that is written on the page."""
    written = [*page.get("html"), *page.info, *page.warning, *page.error, *page.caption, *page.markdown, *page.title]
    return "\n".join(str(element.value) for element in written)


def see(page: Page, words: str) -> None:
    expect(page.get_by_text(words).first).to_be_visible(timeout=SLOW_MS)
