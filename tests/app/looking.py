"""Runs a page in this process, and reads what it says; or waits for words in a browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect
from streamlit.testing.v1 import AppTest

import app
from app import cached

SLOW_MS = 45_000
_SLOW_SECONDS = 30
_ENTRY = Path(app.__file__).with_name("dashboard.py")


@dataclass(frozen=True)
class Pages:
    """Opens pages in this process, each with an environment of its own."""

    environ: Mapping[str, str]

    def dashboard(self, **settings: str) -> AppTest:
        """All of it, which opens with the Overview."""
        return self._given(AppTest.from_file(str(_ENTRY), default_timeout=_SLOW_SECONDS), settings)

    def view(self, name: str, **settings: str) -> AppTest:
        """One page by itself: `AppTest` can turn to a page only when it is a file."""
        return self.script(f"from app.views import {name}\n{name}.page()", **settings)

    def script(self, code: str, **settings: str) -> AppTest:
        """What a page could do."""
        return self._given(AppTest.from_string(code, default_timeout=_SLOW_SECONDS), settings)

    def _given(self, page: AppTest, settings: Mapping[str, str]) -> AppTest:
        named = {f"HELIOGRAPH_{name.upper()}": value for name, value in settings.items()}
        page.session_state[cached.ENVIRONMENT] = {**self.environ, **named}
        return page


def run(page: AppTest, **link: str | list[str]) -> AppTest:
    page.query_params.update(link)
    page.run()
    assert not page.exception
    return page


def text(page: AppTest) -> str:
    """All that is written on the page."""
    boxes = [*page.success, *page.info, *page.warning, *page.error]
    written = [*page.get("html"), *boxes, *page.caption, *page.markdown, *page.title]
    return "\n".join(str(element.value) for element in written)


def see(page: Page, words: str) -> None:
    expect(page.get_by_text(words).first).to_be_visible(timeout=SLOW_MS)
