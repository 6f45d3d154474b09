"""Some thousand carriers or regions, from prefixes or from a sender's mistake, sink no page: the largest stand there, and how many do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app import controls
from app.tables import DRAWN_MAX
from core.events import AnyEvent, Send, encode_lines
from core.ids import uuid7_from
from core.warehouse import Warehouse
from metrics.values import VALUES_MAX
from tests.app.looking import Pages, run, text

MANY = 5_000
RARE = "c0003"


@pytest.fixture
def crowded(warehouse: Warehouse) -> Warehouse:
    """One attempt each, and two of the last by name."""
    at = datetime.now(UTC) - timedelta(hours=1)
    names = {"provider": "aurora", "country": "DE", "app": "shop", "purpose": "login", "template": "login"}
    sends: list[AnyEvent] = [
        Send(at=at, request_id=uuid7_from(at, f"crowd {number}"), attempt=1, category="code", cause="first",
             outcome="accepted", carrier=f"c{min(number, MANY - 1):04}", region=f"r{min(number, MANY - 1):04}", **names)
        for number in range(MANY + 1)
    ]  # fmt: skip
    warehouse.insert_json("send_events", encode_lines(sends))
    return warehouse


@pytest.mark.parametrize(("view", "dimension"), [("funnel", "carrier"), ("carriers", "carrier"), ("regions", "region")])
def test_the_largest_stand_in_the_table_and_it_says_how_many_do_not(
    crowded: Warehouse, pages: Pages, view: str, dimension: str
) -> None:
    shown = run(pages.view(view), split="carrier")
    table = next(frame for element in shown.dataframe if dimension in (frame := element.value).columns)

    assert len(table) == DRAWN_MAX
    assert table[dimension].iloc[0] == f"{dimension[0]}{MANY - 1}"
    assert f"These are the {DRAWN_MAX} largest of 5,000; 4,500 smaller ones are not shown" in text(shown)


def test_a_filter_lists_the_most_frequent_and_takes_any_other(crowded: Warehouse, pages: Pages) -> None:
    page = pages.view("funnel")
    page.session_state[controls.FILTER_BOX] = True
    shown = run(page, carrier=RARE)
    field = shown.multiselect(key="filter-carrier")

    assert "Carrier: c0003" in text(shown)
    assert field.value == [RARE]
    assert len(set(field.options) - {RARE}) in (VALUES_MAX, VALUES_MAX - 1)  # it may be among those of one attempt
    assert f"c{MANY - 1}" in field.options
    assert f"The {VALUES_MAX} most frequent are listed" in field.help
    assert not shown.multiselect(key="filter-provider").help
