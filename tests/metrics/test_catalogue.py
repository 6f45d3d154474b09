"""The declarations: ten, complete, found by name, and what the manual says."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import UnknownMetric
from metrics.catalogue import METRICS, metric
from metrics.docs import render

ROOT = Path(__file__).parents[2]

IN_ORDER = [
    "third_party_success_rate",
    "receipt_rate",
    "delivery_rate",
    "receipt_success_rate",
    "effective_success_rate",
    "fill_rate",
    "verification_success_rate",
    "delivery_time",
    "on_time_rate",
    "resend_rate",
]


def test_there_are_ten_in_the_order_of_the_design():
    assert [one.slug for one in METRICS] == IN_ORDER


def test_a_metric_is_found_by_its_slug():
    assert [metric(slug).slug for slug in IN_ORDER] == IN_ORDER


def test_a_mistyped_slug_is_answered_with_the_nearest_one():
    with pytest.raises(UnknownMetric, match="did you mean 'delivery_rate'"):
        metric("delivry_rate")


def test_a_slug_like_nothing_is_answered_with_all_there_are():
    with pytest.raises(UnknownMetric, match="receipt_success_rate, effective_success_rate"):
        metric("xyzzy")


@pytest.mark.parametrize("one", METRICS, ids=lambda one: one.slug)
def test_a_declaration_leaves_nothing_out(one):
    assert one.question.endswith("?")
    assert all([one.title, one.title_zh, one.formula, one.value, one.n, one.settled_because])
    assert one.settled_after_seconds > 0


def test_no_ratio_divides_plainly():
    ratios = [one for one in METRICS if one.unit == "ratio"]

    assert all(one.value.startswith("divideOrNull(") and " / " not in one.value for one in ratios)


def test_the_sample_size_is_what_a_ratio_divides_by():
    assert all(one.value.endswith(f", {one.n})") for one in METRICS if one.unit == "ratio")


def test_the_manual_says_what_the_declarations_say():
    assert (ROOT / "docs/metrics.md").read_text(encoding="utf-8") == render(), "run `make docs`"
