"""The Overview asks five questions: the ten metrics now, over the same span earlier, their course, and the availability of
the API with its course."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from app.data.basics import ALL_SLUGS, VOLUME, FilterKey, number_of, readings_of
from app.data.uptime import Uptime, uptime
from app.timeframe import COMPARED, Window, auto_bucket
from core.warehouse import Warehouse
from metrics.query import Question, ask
from metrics.readings import Reading

SPARK_POINTS = 100


@dataclass(frozen=True)
class Spark:
    """A metric's course: values (None where undefined) and whether each is settled, one a bucket."""

    values: tuple[float | None, ...]
    settled: tuple[bool, ...]
    bucket: str


@dataclass(frozen=True)
class OverviewData:
    """What the ten tiles are drawn from; `before` is None when nothing is to be compared. `uptime`: see `app.uptime`."""

    now: Mapping[str, Reading]
    before: Mapping[str, Reading] | None
    sparks: Mapping[str, Spark]
    uptime: Uptime

    @property
    def empty(self) -> bool:
        return not any(reading.n for reading in self.now.values())


def answer(
    warehouse: Warehouse,
    window: Window,
    zone: str,
    filters: FilterKey,
    *,
    compare: str,
    now: datetime,
    on_time_seconds: int,
) -> OverviewData:
    """The ten metrics over the window, over the same span `compare` earlier, and their course."""

    def asked(over: Window, bucket: str | None = None) -> pd.DataFrame:
        question = Question(
            metrics=ALL_SLUGS, start=over.start, end=over.end, bucket=bucket, time_zone=zone, filters=dict(filters)
        )
        return ask(warehouse, question, now=now, on_time_seconds=on_time_seconds)

    present = readings_of(asked(window))
    bucket = auto_bucket(window, volume=present[VOLUME].n, most=SPARK_POINTS)
    course = asked(window.from_bucket(bucket, zone), bucket)
    return OverviewData(
        now=present,
        before=readings_of(asked(window.earlier(COMPARED[compare]))) if compare in COMPARED else None,
        sparks={slug: _spark(course, slug, bucket) for slug in ALL_SLUGS},
        uptime=uptime(warehouse, window),
    )


def _spark(frame: pd.DataFrame, slug: str, bucket: str) -> Spark:
    """One place for every bucket, so that a bucket without attempts is a gap and not a shorter line."""
    if frame.empty:
        return Spark((), (), bucket)
    ordered = frame.sort_values("bucket")
    size = pd.Timedelta(1, "D") if bucket == "1d" else pd.Timedelta(bucket.replace("m", "min"))
    places = ((ordered["bucket"] - ordered["bucket"].iloc[0]) / size).round().astype(int)
    values: list[float | None] = [None] * (int(places.iloc[-1]) + 1)
    settled = [True] * len(values)
    for place, value, is_settled in zip(places, ordered[slug], ordered[f"{slug}_settled"], strict=True):
        values[place], settled[place] = number_of(value), bool(is_settled)
    return Spark(tuple(values), tuple(settled), bucket)
