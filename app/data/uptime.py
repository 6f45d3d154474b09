"""How the API answered over a window: two questions, for the Overview and for Operations."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from app.timeframe import Window, auto_bucket
from core.warehouse import Warehouse
from metrics.operations import availability

_POINTS = 120


@dataclass(frozen=True)
class Uptime:
    """`whole`: one row, `course`: one a `bucket` that had calls, both as `metrics.operations.availability` gives them."""

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
        course=availability(warehouse, start=window.start, end=window.end, bucket=bucket),
        bucket=bucket,
    )
