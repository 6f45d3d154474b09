"""The questions the pages ask of the warehouse, all of them, each a SELECT over a read-only connection.

The Overview asks three and the Carriers page two; both ask for the newest attempt, and for the values of the filters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from app.timeframe import WEEK, Window, auto_bucket, choose_bucket
from core.events import DIMENSIONS
from core.warehouse import Warehouse
from metrics.catalogue import METRICS, metric
from metrics.query import Question, ask, freshness, values_of
from metrics.readings import Reading

ALL_SLUGS = tuple(entry.slug for entry in METRICS)
VOLUME = "third_party_success_rate"
"""Its n is every attempt submitted: what carriers are ordered by."""

SPARK_POINTS = 100
LINES_MAX = 8
"""Most lines of a panel: one a colour."""

NOT_THERE = {60, 81}
"""ClickHouse's numbers for a table and a database that do not exist: nothing has been loaded yet."""

FilterKey = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Spark:
    """A metric's course: values (None where undefined) and whether each is settled, one a bucket."""

    values: tuple[float | None, ...]
    settled: tuple[bool, ...]
    bucket: str


@dataclass(frozen=True)
class OverviewData:
    """What the ten tiles are drawn from."""

    now: Mapping[str, Reading]
    before: Mapping[str, Reading]
    sparks: Mapping[str, Spark]

    @property
    def empty(self) -> bool:
        return not any(reading.n for reading in self.now.values())


@dataclass(frozen=True)
class CarriersData:
    """What the panels and the table are drawn from.

    `totals`: a row a carrier, by volume: carrier, value, n, settled, volume (and p95). `series`: a row a carrier, line
    and bucket: carrier, line, bucket, value, n, settled. `changed` says why `bucket` is not the one that was wanted.
    `left_out`: lines too small to be drawn.
    """

    totals: pd.DataFrame
    series: pd.DataFrame
    bucket: str
    changed: str
    lines: tuple[str, ...]
    left_out: tuple[str, ...]

    def readings(self) -> dict[str, Reading]:
        """The totals by carrier, in their order."""
        rows = zip(self.totals["carrier"], self.totals["value"], self.totals["n"], self.totals["settled"], strict=True)
        return {str(name): Reading(_number(value), int(n), settled=bool(done)) for name, value, n, done in rows}


def newest(warehouse: Warehouse) -> datetime | None:
    """When the newest attempt was submitted; None when there is none."""
    return freshness(warehouse)


def choices(warehouse: Warehouse, window: Window) -> dict[str, list[str]]:
    """The values of every dimension in the window, and a week before it, in one SELECT."""
    return values_of(warehouse, DIMENSIONS, start=window.start - WEEK, end=window.end)


def overview(
    warehouse: Warehouse, window: Window, zone: str, filters: FilterKey, *, now: datetime, on_time_seconds: int
) -> OverviewData:
    """The ten metrics over the window, over the same span last week, and their course."""

    def answer(over: Window, bucket: str | None = None) -> pd.DataFrame:
        question = Question(
            metrics=ALL_SLUGS, start=over.start, end=over.end, bucket=bucket, time_zone=zone, filters=dict(filters)
        )
        return ask(warehouse, question, now=now, on_time_seconds=on_time_seconds)

    present = _readings(answer(window))
    bucket = auto_bucket(window, volume=present[VOLUME].n, most=SPARK_POINTS)
    course = answer(window.from_bucket(bucket, zone), bucket)
    return OverviewData(
        now=present,
        before=_readings(answer(window.last_week())),
        sparks={slug: _spark(course, slug, bucket) for slug in ALL_SLUGS},
    )


def carriers(
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
    totals = _totals(ask(warehouse, whole, now=now, on_time_seconds=on_time_seconds), slug)
    largest = tuple(totals["carrier"].head(panels))
    volume = int(totals["volume"].head(panels).median()) if largest else 0
    bucket, changed = choose_bucket(window, wanted, volume=volume)
    if not largest:
        return CarriersData(totals, pd.DataFrame(), bucket, changed, (), ())
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
    return CarriersData(totals, series[series["line"].isin(drawn)], bucket, changed, lines, left_out)


def _number(value: object) -> float | None:
    return None if pd.isna(value) else float(value)  # type: ignore[call-overload,arg-type]


def _readings(frame: pd.DataFrame) -> dict[str, Reading]:
    if frame.empty:
        return {slug: Reading(None, 0, settled=False) for slug in ALL_SLUGS}
    row = frame.iloc[0]
    return {
        slug: Reading(
            value=_number(row[slug]),
            n=int(row[f"{slug}_n"]),
            settled=bool(row[f"{slug}_settled"]),
            p95=_number(row[f"{slug}_p95"]) if "p95" in metric(slug).extras else None,
        )
        for slug in ALL_SLUGS
    }


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
        values[place], settled[place] = _number(value), bool(is_settled)
    return Spark(tuple(values), tuple(settled), bucket)


def _totals(frame: pd.DataFrame, slug: str) -> pd.DataFrame:
    columns = {"carrier": "carrier", slug: "value", f"{slug}_n": "n", f"{slug}_settled": "settled"}
    if "p95" in metric(slug).extras:
        columns[f"{slug}_p95"] = "p95"
    if frame.empty:
        return pd.DataFrame(columns=[*columns.values(), "volume"])
    totals = frame[list(columns)].rename(columns=columns).assign(volume=frame[f"{VOLUME}_n"])
    return totals.sort_values(["volume", "carrier"], ascending=[False, True], ignore_index=True)


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
