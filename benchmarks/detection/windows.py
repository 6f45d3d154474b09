"""Counts of sliding windows by slice, minute by minute, each with what was known by then: what simple rules work on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SLICES = (("provider",), ("country", "carrier"), ("provider", "country"), ("template",), ("app",))
"""What the rules watch: the groups an operator would set up by hand. Finer ones cry wolf ten times as often."""

ON_TIME_MS = 60_000
_NEVER = np.iinfo(np.int64).max // 4
_MINUTE = 60_000

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """A ratio: which attempts make its denominator, from when each counts in either part (milliseconds, `_NEVER`)."""

    name: str
    kind: str  # what a rule that knows no better calls its fall
    base_from: Ints
    good_from: Ints


@dataclass(frozen=True)
class Window:
    """Counts of one slice group: a row a series, a column a minute from `origin`."""

    measure: Measure
    scopes: list[dict[str, list[str]]]
    base: Ints
    good: Ints


def measures_of(attempts: pd.DataFrame) -> list[Measure]:
    """The ratios that both rules watch."""
    submitted = _ms(attempts.submitted_at)
    accepted = np.where((attempts.outcome == "accepted").to_numpy(), submitted, _NEVER)
    code = np.where((attempts.category == "code").to_numpy(), accepted, _NEVER)
    delivered, failed, checked = _ms(attempts.delivered_at), _ms(attempts.failed_at), _ms(attempts.first_check_at)
    right = np.where(attempts.first_check_right.to_numpy(), checked, _NEVER)
    on_time = np.where(delivered - submitted <= ON_TIME_MS, delivered, _NEVER)
    return [
        Measure("third_party_success_rate", "provider-outage", submitted, accepted),
        Measure("receipt_rate", "receipts-stop", accepted, np.minimum(delivered, failed)),
        Measure("delivery_rate", "delivery-drop", accepted, delivered),
        Measure("fill_rate", "fake-receipts", code, _ms(attempts.filled_at)),
        Measure("verification_success_rate", "verification-broken", checked, right),
        Measure("on_time_rate", "slow-channel", accepted, on_time),
    ]


def windows(attempts: pd.DataFrame, *, origin: datetime, minutes: int, youngest: int, oldest: int) -> Iterator[Window]:
    """For every minute after `origin`: attempts submitted `youngest` to `oldest` minutes before it, as known then."""
    start = int(origin.timestamp() * 1000)
    minute = (_ms(attempts.submitted_at) - start) // _MINUTE
    measures = measures_of(attempts)
    for dimensions in SLICES:
        series, scopes = _series(attempts, dimensions)
        for measure in measures:
            base, good = (
                _sliding(series, len(scopes), minute, -((start - known) // _MINUTE), minutes, youngest, oldest)
                for known in (measure.base_from, np.maximum(measure.base_from, measure.good_from))
            )
            yield Window(measure, scopes, base, good)


def _sliding(series: Ints, count: int, minute: Ints, known: Ints, minutes: int, youngest: int, oldest: int) -> Ints:
    """Each attempt enters when it is old enough and known, and leaves when it is too old."""
    enters = np.maximum(np.maximum(minute + youngest + 1, known), 0)
    leaves = np.minimum(minute + oldest + 1, minutes)
    rows = np.flatnonzero(enters < leaves)
    size, width = count * (minutes + 1), minutes + 1
    change = np.bincount(series[rows] * width + enters[rows], minlength=size)
    change -= np.bincount(series[rows] * width + leaves[rows], minlength=size)
    return np.asarray(np.cumsum(change.reshape(count, width), axis=1)[:, :minutes], dtype=np.int64)


def _series(attempts: pd.DataFrame, dimensions: tuple[str, ...]) -> tuple[Ints, list[dict[str, list[str]]]]:
    key = np.zeros(len(attempts), dtype=np.int64)
    for name in dimensions:
        key = key * len(attempts[name].cat.categories) + attempts[name].cat.codes.to_numpy()
    sizes = [len(attempts[name].cat.categories) for name in dimensions]
    counts = np.bincount(key, minlength=int(np.prod(sizes)))
    found = np.flatnonzero(counts)
    number = np.zeros(len(counts), dtype=np.int64)
    number[found] = np.arange(len(found))
    told = np.unravel_index(found, sizes)
    scopes = [
        {name: [str(attempts[name].cat.categories[code[row]])] for name, code in zip(dimensions, told, strict=True)}
        for row in range(len(found))
    ]
    return number[key], scopes


def _ms(column: pd.Series) -> Ints:
    stamps = column.to_numpy().astype("datetime64[ms]").astype(np.int64)
    return np.where(stamps == np.iinfo(np.int64).min, _NEVER, stamps)
