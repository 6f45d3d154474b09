"""The axes of time: they show the range that was asked for, on the clock of its zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from app.charts import operations as charts
from app.timeframe import Window

START = datetime(2026, 3, 4, tzinfo=UTC)
DAY = Window(START, START + timedelta(days=1), 60)
NOON = pd.Timestamp(START + timedelta(hours=12))


def of_availability() -> pd.DataFrame:
    return pd.DataFrame({"bucket": [NOON], "availability": [1.0], "n": [45], "failed": [0], "shed": [0]})


def of_arrivals() -> pd.DataFrame:
    return pd.DataFrame({"bucket": [NOON], "kind": ["send"], "events": [45.0]})


@pytest.mark.parametrize(
    ("draw", "table"), [(charts.availability, of_availability()), (charts.arrivals, of_arrivals())]
)
def test_a_single_point_stands_in_the_whole_range(draw, table: pd.DataFrame) -> None:
    figure = draw(table, window=DAY, zone="Europe/Berlin", shade="light")

    assert (datetime(2026, 3, 4, 1), datetime(2026, 3, 5, 1)) == figure.layout.xaxis.range  # noqa: DTZ001
    assert [pd.Timestamp("2026-03-04 13:00")] == list(pd.to_datetime(figure.data[0].x))
