"""What the questions of all pages share: filters as a key, the newest attempt, the values of the filters, readings, and what they
are held against."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from app.timeframe import WEEK, Window
from core.events import DIMENSIONS
from core.warehouse import Warehouse
from metrics.catalogue import METRICS, metric
from metrics.query import freshness
from metrics.readings import Reading
from metrics.values import Values, values_of

ALL_SLUGS = tuple(entry.slug for entry in METRICS)
VOLUME = "third_party_success_rate"
"""Its n is every attempt submitted: what carriers are ordered by."""

NOT_THERE = {60, 81}
"""ClickHouse's numbers for a table and a database that do not exist: nothing has been loaded yet."""

_SAME_AGE_MAX = timedelta(hours=30)
"""Of a longer span what still settles, an hour at most, is too little to matter; and of days the rollup is asked, which knows
only how they ended."""

FilterKey = tuple[tuple[str, tuple[str, ...]], ...]


def at_same_age(window: Window, *, now: datetime, on_time_seconds: int) -> bool:
    """Whether the readings of a window are to be held against what was known so much earlier, at the same age: some settle."""
    settles_seconds = max(one.settles_after_seconds(on_time_seconds=on_time_seconds) for one in METRICS)
    return window.span <= _SAME_AGE_MAX and window.end >= now - timedelta(seconds=settles_seconds)


def newest(warehouse: Warehouse) -> datetime | None:
    """When the newest attempt was submitted; None when there is none."""
    return freshness(warehouse)


def choices(warehouse: Warehouse, window: Window) -> dict[str, Values]:
    """The values of every dimension in the window, and a week before it, the most frequent where there are very many."""
    return values_of(warehouse, DIMENSIONS, start=window.start - WEEK, end=window.end)


def number_of(value: object) -> float | None:
    return None if pd.isna(value) else float(value)  # type: ignore[call-overload,arg-type]


def readings_of(frame: pd.DataFrame) -> dict[str, Reading]:
    if frame.empty:
        return {slug: Reading(None, 0, settled=False) for slug in ALL_SLUGS}
    row = frame.iloc[0]
    return {
        slug: Reading(
            value=number_of(row[slug]),
            n=int(row[f"{slug}_n"]),
            settled=bool(row[f"{slug}_settled"]),
            p95=number_of(row[f"{slug}_p95"]) if "p95" in metric(slug).extras else None,
        )
        for slug in ALL_SLUGS
    }


def totals(frame: pd.DataFrame, slug: str, dimensions: tuple[str, ...]) -> pd.DataFrame:
    """An answer about one metric as a table by volume: the dimensions, value, n, settled, volume (and p95)."""
    columns = {**{name: name for name in dimensions}, slug: "value", f"{slug}_n": "n", f"{slug}_settled": "settled"}
    if "p95" in metric(slug).extras:
        columns[f"{slug}_p95"] = "p95"
    if frame.empty:
        return pd.DataFrame(columns=[*columns.values(), "volume"])
    table = frame[list(columns)].rename(columns=columns).assign(volume=frame[f"{VOLUME}_n"])
    return table.sort_values(["volume", *dimensions], ascending=[False, *[True] * len(dimensions)], ignore_index=True)
