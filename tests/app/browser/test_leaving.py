"""A reader who leaves while a page waits for the warehouse: what it asked is given up on the warehouse's side."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.app.browser.conftest import Stage, staged
from tests.app.browser.places import WITH_DATA
from tests.app.looking import SLOW_MS, see
from tests.app.traffic import load
from tests.support.questions import wait_for_questions
from tests.support.warehouses import Databases

pytestmark = pytest.mark.browser

# What operators keep quiet and what was deployed is asked for by the Incidents page.
SLOW_TABLE = "operator_words"
SLOW_QUESTIONS = 2
SLOW_VIEW = f"""
CREATE VIEW {SLOW_TABLE} AS
SELECT kept.* FROM numbers(100000) AS rows LEFT JOIN kept ON kept.kind = toString(rows.number)
WHERE sleepEachRow(0.05) = 0
SETTINGS max_block_size = 1
"""


@pytest.fixture(scope="module")
def slow(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A dashboard with traffic, where two questions of the Incidents page take longer than the test."""
    with staged(databases, tmp_path_factory.mktemp("slow")) as made:
        load(made.warehouse, until=datetime.now(UTC), hours=24)
        made.warehouse.command(f"RENAME TABLE {SLOW_TABLE} TO kept")
        made.warehouse.command(SLOW_VIEW)
        yield made


@pytest.fixture
def waiting(slow: Stage, page: Page) -> Page:
    """The Incidents page while it waits."""
    page.goto(f"{slow.url}/incidents")
    wait_for_questions(slow.warehouse, SLOW_QUESTIONS, SLOW_TABLE)
    return page


def test_a_click_on_another_page_gives_the_questions_up(slow: Stage, waiting: Page) -> None:
    waiting.get_by_role("link", name="Funnel", exact=True).click()

    wait_for_questions(slow.warehouse, 0, SLOW_TABLE)
    see(waiting, WITH_DATA["funnel"])


def test_a_closed_window_gives_the_questions_up(slow: Stage, waiting: Page) -> None:
    waiting.close()

    wait_for_questions(slow.warehouse, 0, SLOW_TABLE)


def test_what_was_found_before_a_choice_does_not_stand_under_it(slow: Stage, page: Page) -> None:
    page.goto(f"{slow.url}/incidents?range=6h&tz=UTC&live=off")
    wait_for_questions(slow.warehouse, SLOW_QUESTIONS, SLOW_TABLE)
    found = page.get_by_text("No incident between")
    before = found.inner_text()

    page.get_by_role("radio", name="7 days").click()

    expect(found).not_to_have_text(before, timeout=SLOW_MS)
    expect(found).to_have_count(1)
    wait_for_questions(slow.warehouse, SLOW_QUESTIONS, SLOW_TABLE)
