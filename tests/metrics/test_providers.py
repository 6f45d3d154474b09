"""What providers are compared by: equal traffic, delays, failures, costs; against small tables worked out by hand."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from core.settings.sending import Price
from core.warehouse import Warehouse
from metrics.costs import COLUMNS, costs
from metrics.delays import delivered_within
from metrics.failures import failures
from metrics.mix import adjust
from tests.metrics.story import START, Request, all_of, tell

DAY = {"start": START, "end": START + timedelta(days=1), "filters": {}}


def table(*rows: tuple[str, str, float, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["provider", "country", "value", "n"])


def test_a_provider_with_the_hard_routes_is_as_good_on_equal_traffic():
    easy, hard = 0.95, 0.75
    both = table(("a", "DE", easy, 900), ("a", "NG", hard, 100), ("b", "DE", easy, 100), ("b", "NG", hard, 900))

    a, b = adjust(both, ("country",))

    assert (a.raw, b.raw) == (pytest.approx(0.93), pytest.approx(0.77))
    assert a.value == b.value == pytest.approx(0.85)
    assert b.reasons[0].own_share == pytest.approx(0.9 if b.reasons[0].stratum == ("NG",) else 0.1)
    assert sum(reason.effect for reason in b.reasons) == pytest.approx(0.77 - 0.85)


def test_who_has_the_easy_routes_alone_is_no_better_than_who_does_as_well_there():
    easy, all_routes = adjust(
        table(("a", "DE", 0.97, 6000), ("b", "DE", 0.97, 1000), ("b", "NG", 0.6, 4000)), ("country",)
    )

    assert easy.covered == pytest.approx(7 / 11)
    assert easy.value == pytest.approx(all_routes.value)


def test_strata_without_a_sample_are_left_out_and_too_few_give_no_value():
    a, b = adjust(table(("a", "DE", 0.9, 1000), ("a", "NG", 0.5, 1000), ("b", "NG", 0.6, 5)), ("country",))

    assert a.covered == pytest.approx(1.0)
    assert (b.value, b.covered) == (None, 0.0)


def test_undefined_strata_count_nowhere():
    assert adjust(table(("a", "DE", float("nan"), 0)), ("country",)) == []


@pytest.fixture(scope="module")
def told(shared_warehouse: Warehouse) -> Warehouse:
    requests = [
        Request("one").sent(segments=2).receipt("delivered", 1.2).check("approved", 9),
        Request("two").sent().receipt("delivered", 50),
        Request("three", country="FR").sent().receipt("failed", 3, error_class="handset", raw_code="21"),
        Request("four").sent("rejected", error_class="account", error_code="52"),
        Request("five", provider="beacon").sent(),
    ]
    tell(shared_warehouse, all_of(*requests))
    return shared_warehouse


def test_delays_are_shares_of_the_accepted(told: Warehouse):
    rows = delivered_within(told, "provider", **DAY).set_index(["provider", "seconds"])

    assert rows.loc[("aurora", 1.0), "share"] == 0
    assert rows.loc[("aurora", 1.5), "share"] == pytest.approx(1 / 3)
    assert rows.loc[("aurora", 60.0), "share"] == pytest.approx(2 / 3)
    assert rows.loc[("beacon", 3600.0), "share"] == 0
    assert rows.loc[("beacon", 3600.0), "n"] == 1


def test_failures_stand_by_provider_and_stage(told: Warehouse):
    rows = failures(told, **DAY)

    assert rows.to_dict("records") == [
        {
            "provider": "aurora",
            "stage": "answer",
            "error_class": "account",
            "error_code": "52",
            "failed": 1,
            "submitted": 4,
        },
        {
            "provider": "aurora",
            "stage": "receipt",
            "error_class": "handset",
            "error_code": "21",
            "failed": 1,
            "submitted": 4,
        },
    ]


def test_costs_are_of_what_has_a_price(told: Warehouse):
    prices = [Price(provider="aurora", per_part=0.10), Price(provider="aurora", country="FR", per_part=0.50)]

    row, unpriced = costs(told, prices, **DAY).to_dict("records")

    assert row["cost"] == row["code_cost"] == pytest.approx(0.2 + 0.1 + 0.5)
    assert (row["delivered"], row["approved"], row["priced"]) == (2, 1, 1.0)
    assert row["per_delivered"] == pytest.approx(0.4)
    assert row["per_approved"] == pytest.approx(0.8)
    assert (unpriced["provider"], unpriced["priced"]) == ("beacon", 0.0)
    assert all(pd.isna(unpriced[name]) for name in COLUMNS if name not in ("provider", "priced"))


def test_what_was_never_delivered_costs_nothing_defined(told: Warehouse):
    _, row = costs(told, [Price(provider="beacon", per_part=0.1)], **DAY).to_dict("records")

    assert row["cost"] == pytest.approx(0.1)
    assert pd.isna(row["per_delivered"])
    assert costs(told, [], **DAY).empty


def test_what_marketing_costs_is_not_what_an_entered_code_costs(warehouse: Warehouse):
    codes = [Request("entered").sent().check("approved", 9), Request("forgotten").sent(segments=2)]
    others = [Request("sale").sent(category="marketing", segments=9), Request("parcel").sent(category="notification")]
    tell(warehouse, all_of(*codes, *others))

    (row,) = costs(warehouse, [Price(provider="aurora", per_part=0.05)], **DAY).to_dict("records")

    assert (row["cost"], row["code_cost"]) == (pytest.approx(0.65), pytest.approx(0.15))
    assert row["per_approved"] == pytest.approx(0.15)
