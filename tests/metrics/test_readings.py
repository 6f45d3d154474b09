"""How sure a ratio is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.readings import interval


@pytest.mark.parametrize(
    ("value", "n", "low", "high"),
    [(0.0, 10, 0.0, 0.2775), (0.5, 10, 0.2366, 0.7634), (1.0, 10, 0.7225, 1.0), (0.95, 1000, 0.9347, 0.9619)],
)
def test_the_interval_is_wilsons(value: float, n: int, low: float, high: float):
    assert interval(value, n) == pytest.approx((low, high), abs=1e-4)


def test_what_is_undefined_has_none():
    assert interval(None, 10) is None
    assert interval(0.5, 0) is None


@given(st.floats(0, 1), st.integers(1, 10**9))
def test_it_holds_the_value_and_stays_a_ratio(value: float, n: int):
    low, high = interval(value, n) or (1, 0)

    assert 0 <= low <= value + 1e-12
    assert value - 1e-12 <= high <= 1
