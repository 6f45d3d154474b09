"""What is usual: a metric of each carrier at the same hours of the weeks before. One question a week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd

from app.data.basics import FilterKey
from app.data.beside import beside
from app.timeframe import WEEK, Window
from core.warehouse import Warehouse
from metrics.query import Question, ask

WEEKS = 3
COLUMNS = ("carrier", "bucket", "usual", "usual_n")


def usual(
    warehouse: Warehouse,
    window: Window,
    zone: str,
    filters: FilterKey,
    *,
    slug: str,
    bucket: str,
    carriers: tuple[str, ...],
    now: datetime,
    on_time_seconds: int,
) -> pd.DataFrame:
    """A row a carrier and bucket of the window: the mean of the weeks before, weighted by their samples, and its sample.

    `COLUMNS`; a bucket of which no week has a value is absent. The clock of the zone decides what the same hour is.
    """

    clock = ZoneInfo(zone)

    def week(back: int) -> pd.DataFrame:
        start, end = ((at.astimezone(clock) - back * WEEK).astimezone(UTC) for at in (window.start, window.end))
        question = Question(
            metrics=(slug,),
            start=start,
            end=max(end, start + window.span),  # where the clock shows an hour twice, it may not advance
            dimensions=("carrier",),
            bucket=bucket,
            time_zone=zone,
            filters=dict(filters) | {"carrier": carriers},
        )
        return _moved(ask(warehouse, question, now=now, on_time_seconds=on_time_seconds), slug, back * WEEK, zone)

    weeks = [beside(week, back) for back in range(1, WEEKS + 1)]
    rows = pd.concat([one.result() for one in weeks])
    rows = rows[rows["value"].notna() & (rows["n"] > 0)]
    if rows.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    sums = (
        rows.assign(total=rows["value"] * rows["n"])
        .groupby(["carrier", "bucket"], as_index=False)[["total", "n"]]
        .sum()
    )
    return pd.DataFrame(
        {"carrier": sums["carrier"], "bucket": sums["bucket"], "usual": sums["total"] / sums["n"], "usual_n": sums["n"]}
    )


def _moved(frame: pd.DataFrame, slug: str, by: timedelta, zone: str) -> pd.DataFrame:
    """The rows of a week, with the buckets of the window that they are compared with."""
    clock = frame["bucket"].dt.tz_localize(None) + pd.Timedelta(by)
    there = clock.dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    return pd.DataFrame({"carrier": frame["carrier"], "bucket": there, "value": frame[slug], "n": frame[f"{slug}_n"]})
