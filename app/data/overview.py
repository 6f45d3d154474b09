"""The Overview asks six questions: the ten metrics now, over the same span a day and a week earlier, their course (of few
attempts again, by longer buckets), and the availability of the API with its course."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from app.data.basics import ALL_SLUGS, VOLUME, FilterKey, at_same_age, number_of, readings_of
from app.data.beside import beside
from app.data.uptime import Uptime, uptime
from app.timeframe import COMPARED, OTHER, Window, auto_bucket
from core.warehouse import Warehouse
from metrics.query import Question, ask
from metrics.readings import Reading

SPARK_POINTS = 100

_MUCH = 10**9
"""So many attempts fill every bucket."""


@dataclass(frozen=True)
class Spark:
    """A metric's course: values (None where undefined) and whether each is settled, one a bucket of the window."""

    values: tuple[float | None, ...]
    settled: tuple[bool, ...]
    bucket: str


@dataclass(frozen=True)
class OverviewData:
    """What the ten tiles are drawn from; `before` is None when nothing is to be compared, and as it was known so much earlier
    when it is of the `same_age`; so is `other`, of the comparison that was not chosen. `uptime`: see `app.uptime`."""

    now: Mapping[str, Reading]
    before: Mapping[str, Reading] | None
    other: Mapping[str, Reading] | None
    same_age: bool
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
    """The ten metrics over the window, over the same span `compare` earlier and over the other one, and their course."""

    def asked(over: Window, bucket: str | None = None, *, at: datetime = now, as_then: bool = False) -> pd.DataFrame:
        question = Question(
            metrics=ALL_SLUGS, start=over.start, end=over.end, bucket=bucket, time_zone=zone, filters=dict(filters)
        )
        return ask(warehouse, question, now=at, on_time_seconds=on_time_seconds, as_then=as_then)

    same_age = at_same_age(window, now=now, on_time_seconds=on_time_seconds)

    def earlier(by: timedelta) -> dict[str, Reading]:
        return readings_of(asked(window.earlier(by), at=now - by, as_then=same_age))

    calls = beside(uptime, warehouse, window)
    finest = auto_bucket(window, volume=_MUCH, most=SPARK_POINTS)
    course = beside(asked, window.from_bucket(finest, zone), finest)
    compared = [compare, OTHER[compare]] if compare in COMPARED else []
    before, other = [beside(earlier, COMPARED[name]) for name in compared] or (None, None)
    present = readings_of(asked(window))
    bucket = auto_bucket(window, volume=present[VOLUME].n, most=SPARK_POINTS)
    if bucket != finest:  # of few attempts, which are soon asked again
        course = beside(asked, window.from_bucket(bucket, zone), bucket)
    return OverviewData(
        now=present,
        before=before.result() if before else None,
        other=other.result() if other else None,
        same_age=same_age,
        sparks=_sparks(course.result(), window.begins(bucket, zone), bucket),
        uptime=calls.result(),
    )


def _sparks(frame: pd.DataFrame, begins: Sequence[datetime], bucket: str) -> dict[str, Spark]:
    """Of each metric one place for every bucket of the window, so that one without attempts is a gap and not a shorter line."""
    places = [bisect_right(begins, at, lo=1) - 1 for at in frame["bucket"].tolist()]
    return {
        slug: _spark(len(begins), places, frame[slug].tolist(), frame[f"{slug}_settled"].tolist(), bucket)
        for slug in ALL_SLUGS
    }


def _spark(size: int, places: Sequence[int], values: Sequence[float], settled: Sequence[bool], bucket: str) -> Spark:
    all_values: list[float | None] = [None] * size
    all_settled = [True] * size
    for place, value, is_settled in zip(places, values, settled, strict=True):
        all_values[place], all_settled[place] = number_of(value), is_settled
    return Spark(tuple(all_values), tuple(all_settled), bucket)
