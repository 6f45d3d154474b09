"""Tables held against an earlier period: which change is named, what has none, and that nothing is asked of who does not compare."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app import changes, downloads, timeframe
from app.changes import Held
from app.data import earlier as earlier_data
from app.data import regions as regions_data
from app.filters import View
from core.warehouse import Warehouse
from metrics.catalogue import metric
from tests.app.looking import Pages, run, text
from tests.app.test_data import DAY, NOW, WHEN, Counting
from tests.app.traffic import load

DELIVERY, RESEND, TIME = metric("delivery_rate"), metric("resend_rate"), metric("delivery_time")
BY = ("carrier",)


def earlier(warehouse: Any, window: timeframe.Window = DAY, **changed: Any) -> earlier_data.Earlier:
    asked = {"slug": "delivery_rate", "dimensions": BY, "compare": "day"} | changed
    return earlier_data.answer(warehouse, window, "UTC", (), **WHEN, **asked)


def table(**values: tuple[float | None, int]) -> pd.DataFrame:
    columns = [
        {"carrier": name, "value": value, "n": n, "volume": n, "settled": True} for name, (value, n) in values.items()
    ]
    return pd.DataFrame(columns).astype({"value": "float64"})


def held(shown=DELIVERY, *, now: pd.DataFrame, then: pd.DataFrame) -> Held:
    return Held(earlier_data.against(shown, now, then, BY, compare="day"), "day", "yesterday")


def told(shown=DELIVERY, *, now: pd.DataFrame, then: pd.DataFrame) -> list[str]:
    return changes.told(shown, held(shown, now=now, then=then), earlier_data.gone(now, then, BY), BY)


def test_the_same_totals_of_the_earlier_period_are_one_question_more(warehouse: Warehouse) -> None:
    load(warehouse, until=NOW, hours=24)
    load(warehouse, until=NOW - timedelta(days=1), hours=24, delivered_of_ten=5)
    counting = Counting(warehouse)

    then = earlier(counting)

    assert len(counting.asked) == 1
    assert list(then.totals["carrier"]) == ["Vodafone", "O2", ""]
    assert then.totals["value"].tolist() == pytest.approx([0.5] * 3, abs=0.15)


def test_what_still_settles_is_held_against_what_was_known_so_much_earlier(warehouse: Warehouse) -> None:
    load(warehouse, until=NOW, hours=1)
    load(warehouse, until=NOW - timedelta(days=1), hours=1)
    hour = timeframe.moving("1h", NOW)

    then = earlier(warehouse, hour, dimensions=("country", "region"))

    assert then.same_age
    now = regions_data.answer(warehouse, hour, "UTC", (), slug="delivery_rate", **WHEN)
    pd.testing.assert_frame_equal(now.regions, then.totals)
    assert not earlier(warehouse, timeframe.moving("7d", NOW), compare="week").same_age


def test_a_change_is_judged_by_the_good_direction_and_a_small_one_is_chance() -> None:
    now, then = (
        table(O2=(0.80, 9_000), E=(0.95, 9_000), T=(0.901, 90)),
        table(O2=(0.9, 9_000), E=(0.9, 900), T=(0.9, 90)),
    )

    rates, resends = held(now=now, then=then).table, held(RESEND, now=now, then=then).table

    assert rates["day_change"].tolist() == pytest.approx([-0.1, 0.05, 0.001])
    assert rates["day_judged"].tolist() == ["worse", "better", "within chance"]
    assert resends["day_judged"].tolist() == ["better", "worse", "within chance"]


def test_the_more_rows_are_judged_together_the_stricter() -> None:
    now, then = {"O2": (0.90, 1_000)}, {"O2": (0.935, 1_000)}
    calm = {f"c{number}": (0.9, 1_000) for number in range(200)}

    alone = held(now=table(**now), then=table(**then)).table
    among = held(now=table(**now, **calm), then=table(**then, **calm)).table

    assert alone["day_judged"].iloc[0] == "worse"
    assert among["day_judged"].iloc[0] == "within chance"


def test_what_is_undefined_on_either_side_is_a_gap_and_no_zero() -> None:
    both = held(now=table(O2=(None, 0), E=(0.9, 50), T=(0.9, 50)), then=table(O2=(0.9, 50), E=(None, 3)))

    assert np.isnan(both.table["day_change"]).all()
    assert both.table["day_judged"].isna().all()
    assert both.table["day_before_n"].tolist() == [50, 3, 0]
    assert b"O2,,0,0,True,0.9,50,," in downloads.content(both.table)


def test_an_earlier_period_without_any_attempt_is_told(warehouse: Warehouse) -> None:
    now = table(O2=(0.9, 50))

    assert told(now=now, then=earlier(warehouse).totals) == ["Nothing has a value both now and yesterday."]


def test_who_changed_is_told_in_words_the_largest_change_first() -> None:
    now = table(O2=(0.85, 9_000), E=(0.78, 9_000), T=(0.95, 9_000), Q=(0.9, 9_000))
    then = table(O2=(0.90, 9_000), E=(0.90, 9_000), T=(0.90, 9_000), Q=(0.9, 9_000), Orange=(0.9, 1_200))

    assert told(now=now, then=then) == [
        "Worse by more than chance: E ▼ −12.0 points, O2 ▼ −5.00 points",
        "Better by more than chance: T ▲ +5.00 points",
        "Attempts yesterday and none in this range: Orange (1,200)",
    ]
    assert told(TIME, now=table(O2=(9.0, 500)), then=table(O2=(4.0, 500))) == [
        "Worse by more than chance: O2 ▲ +5.00 s"
    ]
    assert told(now=table(O2=(0.9, 50)), then=table(O2=(0.91, 50))) == ["Nothing changed by more than chance."]


def test_nothing_is_asked_of_who_does_not_compare() -> None:
    assert changes.questions(View(), DAY, BY) == []


@pytest.mark.parametrize(
    ("page", "tables"),
    [("carriers", [["carrier"]]), ("providers", [["provider"]]), ("regions", [["country"], ["country", "region"]])],
)
def test_a_page_shows_the_change_beside_the_metric_when_the_link_compares(
    warehouse: Warehouse, pages: Pages, page: str, tables: list[list[str]]
) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)
    load(warehouse, until=datetime.now(UTC) - timedelta(days=1), hours=24, delivered_of_ten=5)

    shown = run(pages.view(page), compare="day")
    frames = [element.value for element in shown.dataframe]

    for frame, dimensions in zip(frames, tables, strict=True):
        assert list(frame.columns[: len(dimensions)]) == dimensions
        assert frame["day_change"].tolist() == pytest.approx([40] * len(frame), abs=15)
        assert frame["day_before"].tolist() == pytest.approx([50] * len(frame), abs=15)
        assert set(frame["day_judged"]) == {"▲ better"}
    assert "Changes are against yesterday at this age" in text(shown)
    assert "Better by more than chance" in text(shown)


@pytest.fixture
def providers(warehouse: Warehouse, pages: Pages) -> AppTest:
    load(warehouse, until=datetime.now(UTC), hours=24)
    return pages.view("providers")


def test_by_itself_a_page_of_tables_compares_with_nothing(providers: AppTest) -> None:
    shown = run(providers)

    assert shown.selectbox(key="compare").value == "none"
    assert not any("before" in column for column in shown.dataframe[0].value.columns)
    assert "Changes are against" not in text(shown)


def test_a_comparison_is_in_the_link_and_what_the_page_does_by_itself_is_not(providers: AppTest) -> None:
    shown = run(providers)

    shown.selectbox(key="compare").set_value("week").run()
    assert shown.query_params["compare"] in ("week", ["week"])
    assert "no value last week" in set(shown.dataframe[0].value["week_judged"])

    shown.selectbox(key="compare").set_value("none").run()
    assert "compare" not in shown.query_params
