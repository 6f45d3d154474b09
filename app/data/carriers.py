"""The Carriers page asks two questions: one metric for every carrier, and its course for the largest. Beside them it asks what
is usual (`app.data.usual`), which incidents there were, and in which countries each carrier is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from app.data.basics import VOLUME, FilterKey, number_of, totals
from app.timeframe import Window, choose_bucket
from core.warehouse import Warehouse
from metrics.query import Question, ask
from metrics.readings import Reading

LINES_MAX = 8
"""Most lines of a panel: one a colour."""


@dataclass(frozen=True)
class CarriersData:
    """What the panels and the table are drawn from.

    `totals`: a row a carrier, by volume: carrier, value, n, settled, volume (and p95). `series`: a row a carrier, line
    and bucket: carrier, line, bucket, value, n, settled. `changed` says why `bucket` is not the one that was wanted.
    `left_out`: lines too small to be drawn. `asked_at` names the answer: another one was asked at another time.
    """

    totals: pd.DataFrame
    series: pd.DataFrame
    bucket: str
    changed: str
    lines: tuple[str, ...]
    left_out: tuple[str, ...]
    asked_at: datetime

    @property
    def empty(self) -> bool:
        return self.totals.empty

    def readings(self) -> dict[str, Reading]:
        """The totals by carrier, in their order."""
        rows = zip(self.totals["carrier"], self.totals["value"], self.totals["n"], self.totals["settled"], strict=True)
        return {str(name): Reading(number_of(value), int(n), settled=bool(done)) for name, value, n, done in rows}


def answer(
    warehouse: Warehouse,
    window: Window,
    zone: str,
    filters: FilterKey,
    *,
    slug: str,
    split: str | None,
    wanted: str,
    panels: int,
    now: datetime,
    on_time_seconds: int,
) -> CarriersData:
    """One metric for every carrier, and its course for the `panels` largest, split into lines.

    `wanted` is a bucket, or `auto`; the answer says which one was used.
    """
    asked = tuple(dict.fromkeys((slug, VOLUME)))
    whole = Question(
        metrics=asked,
        start=window.start,
        end=window.end,
        dimensions=("carrier",),
        time_zone=zone,
        filters=dict(filters),
    )
    table = totals(ask(warehouse, whole, now=now, on_time_seconds=on_time_seconds), slug, ("carrier",))
    largest = tuple(table["carrier"].head(panels))
    volume = int(table["volume"].head(panels).median()) if largest else 0
    bucket, changed = choose_bucket(window, wanted, volume=volume)
    if not largest:
        return CarriersData(table, pd.DataFrame(), bucket, changed, (), (), now)
    reaching = window.from_bucket(bucket, zone)
    course = Question(
        metrics=(slug,),
        start=reaching.start,
        end=reaching.end,
        dimensions=tuple(dict.fromkeys(("carrier", split))) if split else ("carrier",),
        bucket=bucket,
        time_zone=zone,
        filters=dict(filters) | {"carrier": largest},
    )
    series = _series(ask(warehouse, course, now=now, on_time_seconds=on_time_seconds), slug, split)
    by_volume = list(series.groupby("line")["n"].sum().sort_values(ascending=False, kind="stable").index)
    # A panel of carriers split by carrier has one line each, so all of them are drawn.
    drawn = by_volume if split in (None, "carrier") else by_volume[:LINES_MAX]
    left_out = tuple(str(name) for name in by_volume[len(drawn) :])
    lines = tuple(sorted(map(str, drawn)))
    return CarriersData(table, series[series["line"].isin(drawn)], bucket, changed, lines, left_out, now)


def countries_of(warehouse: Warehouse, window: Window, *, now: datetime) -> dict[str, frozenset[str]]:
    """The countries in which each carrier had attempts: an incident in one of them is marked on its panel."""
    question = Question((VOLUME,), window.start, window.end, dimensions=("carrier", "country"))
    frame = ask(warehouse, question, now=now)
    return {str(name): frozenset(map(str, rows)) for name, rows in frame.groupby("carrier")["country"]}


def _series(frame: pd.DataFrame, slug: str, split: str | None) -> pd.DataFrame:
    if frame.empty:
        return pd.DataFrame(columns=["carrier", "line", "bucket", "value", "n", "settled"])
    return pd.DataFrame(
        {
            "carrier": frame["carrier"],
            "line": frame[split] if split else "",
            "bucket": frame["bucket"],
            "value": frame[slug],
            "n": frame[f"{slug}_n"],
            "settled": frame[f"{slug}_settled"],
        }
    ).sort_values(["carrier", "line", "bucket"], ignore_index=True)
