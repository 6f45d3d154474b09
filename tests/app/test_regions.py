"""The Regions page: its map, its tables, and what it says when there is nothing to colour."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.charts import world
from app.world import atlas, project
from core.warehouse import Warehouse
from metrics.catalogue import metric
from tests.app.looking import Pages, run, text
from tests.app.traffic import load

DELIVERY = metric("delivery_rate")


@pytest.fixture
def regions(pages: Pages) -> AppTest:
    return pages.view("regions")


def countries(**values: float | None) -> pd.DataFrame:
    rows = [
        {"country": code, "value": value, "n": 100, "volume": 120, "settled": True} for code, value in values.items()
    ]
    return pd.DataFrame(rows).astype({"value": float})


def test_countries_and_regions_have_their_values_and_how_sure_they_are(warehouse: Warehouse, regions: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)

    by_country, by_region = (element.value for element in run(regions).dataframe)

    assert list(by_country["country"]) == ["Germany"]
    assert by_country["value"].iloc[0] == pytest.approx(90, abs=1)
    assert by_country["between"].iloc[0].endswith("%")
    assert list(by_region["region"]) == ["Berlin"]


def test_a_metric_that_is_undefined_everywhere_is_told(warehouse: Warehouse, regions: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24, delivered_of_ten=0)

    assert "Delivery time is undefined in all of this range" in text(run(regions, metric="delivery_time"))


def test_without_data_it_says_how_to_get_some(warehouse: Warehouse, regions: AppTest) -> None:
    assert "There is no data yet" in text(run(regions))


def test_a_country_without_a_value_is_marked_and_not_coloured() -> None:
    figure = world.world(DELIVERY, countries(DE=0.9, FR=None, SG=0.8), low=0.8, high=0.9, shade="light")
    land, germany, marks = figure.data

    assert germany.fillcolor not in (land.fillcolor, None)
    assert list(marks.customdata) == ["DE", "FR", "SG"]
    assert "–" in marks.text[1]


def test_a_country_the_map_does_not_know_is_left_to_the_table() -> None:
    figure = world.world(DELIVERY, countries(DE=0.9, XX=0.5), low=0.5, high=0.9, shade="dark")

    assert list(figure.data[-1].customdata) == ["DE"]


def test_one_value_still_has_a_scale() -> None:
    low, high = world.bounds(DELIVERY, countries(DE=0.9))

    assert 0 <= low < 0.9 < high <= 1
    assert world.bounds(DELIVERY, countries(DE=None)) == (0.0, 1.0)


def test_no_outline_runs_across_the_map() -> None:
    longest = max(
        float(np.abs(np.diff(x)).max()) for outlines in atlas().rings.values() for x, _ in outlines if len(x) > 1
    )

    assert longest < 1.0  # the world is 5.4 wide


def test_the_projection_is_that_of_its_authors() -> None:
    x, y = project(np.array([0.0, 180.0]), np.array([90.0, 0.0]))

    assert (x[0], y[1]) == (0.0, 0.0)
    assert x[1] / y[0] == pytest.approx(2.05458, abs=1e-4)
