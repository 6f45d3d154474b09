"""The dashboard within pages of other sites: it is not shown, and its own files say the same."""

from __future__ import annotations

import urllib.request

import pytest
from playwright.sync_api import Page

from app.headers import HEADERS
from tests.app.browser.conftest import Stage

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", ["", "carriers", "incidents?incident=one", "favicon.png", "_stcore/health", "nothing"])
def test_every_answer_of_the_server_forbids_it(stage: Stage, path: str) -> None:
    with urllib.request.urlopen(f"{stage.url}/{path}", timeout=30) as response:
        told = {name: response.headers[name] for name in HEADERS}

    assert told == HEADERS


def test_a_page_elsewhere_cannot_show_it(stage: Stage, page: Page) -> None:
    with page.expect_console_message(lambda line: "frame-ancestors" in line.text):
        page.set_content(f'<iframe src="{stage.url}/operations"></iframe>')

    assert all("Operations" not in (frame.title() or "") for frame in page.frames)
