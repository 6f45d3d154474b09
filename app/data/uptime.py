"""How the API answered over a window: two questions, for the Overview and for Operations."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from app.timeframe import Window, auto_bucket
from core.warehouse import Warehouse
from metrics.operations import availability
from metrics.query import BUCKETS

_POINTS = 120


@dataclass(frozen=True)
class Uptime:
    """`whole`: one row, `course`: one a `bucket` from the first to the last that had calls, both as
    `metrics.operations.availability` gives them; in between NaN and an n of 0 where nobody told of a call."""

    whole: pd.DataFrame
    course: pd.DataFrame
    bucket: str

    @property
    def measured(self) -> bool:
        return bool(self.whole["n"].iloc[0])


def uptime(warehouse: Warehouse, window: Window) -> Uptime:
    """Over the window, and its course."""
    bucket = auto_bucket(window, volume=10**9, most=_POINTS)
    return Uptime(
        whole=availability(warehouse, start=window.start, end=window.end),
        course=_with_gaps(availability(warehouse, start=window.start, end=window.end, bucket=bucket), bucket),
        bucket=bucket,
    )


def _with_gaps(course: pd.DataFrame, bucket: str) -> pd.DataFrame:
    """A line that is drawn across an outage would say that all went well in it."""
    if course.empty:
        return course
    every = course.set_index("bucket").asfreq(f"{BUCKETS[bucket]}s").reset_index()
    return every.fillna({"n": 0, "failed": 0, "shed": 0})
