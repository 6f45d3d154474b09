"""The Providers page in its states."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.views.providers import why
from core.warehouse import Warehouse
from metrics.mix import Adjusted
from tests.app.looking import Pages, run, text
from tests.app.traffic import load


@pytest.fixture
def page(pages: Pages) -> AppTest:
    return pages.view("providers")


def test_providers_stand_side_by_side_with_delays_and_failures(warehouse: Warehouse, page: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)

    shown = run(page)
    (totals,) = (element.value for element in shown.dataframe)

    assert list(totals["provider"]) == ["aurora", "beacon"]
    assert ">taken, not delivered</td>" in text(shown)
    assert ">not taken</td>" not in text(shown)
    assert len(shown.get("plotly_chart")) == 2
    assert "on equal traffic" in text(shown)
    assert "No price list is set" in text(shown)


@pytest.mark.parametrize(
    ("value", "covered", "told"),
    [
        (0.9, 1.0, "its mix makes no difference."),
        (0.8, 1.0, "no single destination makes the difference."),
        (0.8, 0.76, "it has a sample (n ≥ 30) for 76\xa0% of all traffic, and counts as all do elsewhere."),
        (None, 0.3, "only 30\xa0% of all traffic goes where it has a sample, too little to compare."),
    ],
)
def test_every_provider_is_told_why_it_differs_or_that_it_does_not(
    value: float | None, covered: float, told: str
) -> None:
    (line,) = why([Adjusted("aurora", raw=0.9, n=1000, value=value, covered=covered, reasons=())])

    assert line.endswith(told)


def test_with_a_price_list_it_says_what_a_delivery_costs(warehouse: Warehouse, pages: Pages, tmp_path: Path) -> None:
    config = tmp_path / "prices.toml"
    config.write_text('[dashboard]\ncurrency = "EUR"\n[[prices]]\nprovider = "aurora"\nper_part = 0.09\n')
    load(warehouse, until=datetime.now(UTC), hours=24)

    shown = run(pages.view("providers", config=str(config)))
    costs = shown.dataframe[1].value

    assert list(costs["provider"]) == ["aurora", "beacon"]
    assert costs["per_delivered"].iloc[0] == pytest.approx(0.1, abs=0.01)
    assert costs["cost"].isna().tolist() == [False, True]
    assert "for anything that they accepted here: beacon" in text(shown)


def test_a_price_list_of_others_is_not_called_none(warehouse: Warehouse, pages: Pages, tmp_path: Path) -> None:
    config = tmp_path / "prices.toml"
    config.write_text('[[prices]]\nprovider = "nobody"\nper_part = 0.09\n')
    load(warehouse, until=datetime.now(UTC), hours=24)

    assert "accepted by a provider of the price list" in text(run(pages.view("providers", config=str(config))))


def test_seconds_are_not_made_equal(warehouse: Warehouse, page: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)

    assert "cannot be made equal by weighting" in text(run(page, metric="delivery_time"))


def test_without_data_it_says_how_to_get_some(warehouse: Warehouse, page: AppTest) -> None:
    assert "There is no data yet" in text(run(page))
