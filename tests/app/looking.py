"""Runs a page in this process, and reads what it says."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def run(page: AppTest, **link: str | list[str]) -> AppTest:
    page.query_params.update(link)
    page.run()
    assert not page.exception
    return page


def text(page: AppTest) -> str:
    """All that is written on the page."""
    written = [*page.get("html"), *page.info, *page.warning, *page.error, *page.caption, *page.markdown, *page.title]
    return "\n".join(str(element.value) for element in written)
