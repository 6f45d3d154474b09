"""Shares in columns and hovers: what is not all of it never stands as 100 %, what is not nothing never as 0 %."""

from __future__ import annotations

import pandas as pd
import pytest

from app import tables
from app.charts import funnel, operations, providers
from app.palette import Colours
from metrics.catalogue import metric
from metrics.funnel import STEPS
from metrics.mix import Adjusted
from tests.app.test_data import DAY


@pytest.mark.parametrize(
    ("shares", "places", "values", "form"),
    [
        ([0.5, 1.0, 0.0], 2, [50.0, 100.0, 0.0], "%.2f %%"),
        ([0.5, 0.99996], 2, [50.0, 99.996], "%.3f %%"),
        ([0.5, 0.00004], 1, [50.0, 0.004], "%.3f %%"),
        ([1 - 1e-9, 1e-9], 0, [99.9999, 0.0001], "%.4f %%"),
        ([], 1, [], "%.1f %%"),
    ],
)
def test_a_column_has_the_decimals_that_its_hardest_share_takes(shares, places, values, form) -> None:
    shown, told = tables.percents(pd.Series(shares, dtype="float64"), places)

    assert shown.tolist() == values
    assert told == form


def test_what_is_undefined_stays_a_gap_in_its_column() -> None:
    shown, _ = tables.percents(pd.Series([None, 0.25], dtype="Float64", index=[7, 8]), 1)

    assert shown.isna().tolist() == [True, False]
    assert shown.index.tolist() == [7, 8]


def hovers(figure) -> str:
    return str([trace.customdata for trace in figure.data])


def test_hovers_say_it_by_the_same_rule() -> None:
    nearly = Adjusted("aurora", 0.99996, 25_000, 0.00002, 1.0, ())
    within = pd.DataFrame({"provider": ["aurora"], "seconds": [30.0], "share": [0.99996], "n": [25_000]})
    calls = pd.DataFrame(
        {"bucket": pd.to_datetime([DAY.start], utc=True), "availability": [0.9999999], "n": [10**7], "failed": [1], "shed": [0]}
    )  # fmt: skip
    parts = pd.DataFrame({"carrier": ["O2"], **{step: [25_000 if step == STEPS[0] else 24_999] for step in STEPS}})

    assert "99.996 %, n 25,000" in hovers(providers.compared(metric("fill_rate"), [nearly], "light"))
    assert "'0.002 %'" in hovers(providers.compared(metric("fill_rate"), [nearly], "light"))
    assert "99.996 %" in hovers(providers.delays(within, Colours(), "light"))
    assert "99.9999 %" in hovers(operations.availability(calls, window=DAY, zone="UTC", shade="light"))
    assert "99.996 % (24,999)" in hovers(funnel.shares(parts, "carrier", "light"))
