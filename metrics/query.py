"""Answers questions about the ten metrics, each with one SELECT and one frame, in which every value travels with its n.

Names come from allow-lists and values are bound by the server: no text of the caller's becomes SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from core.errors import BadInput
from core.events import DIMENSIONS
from core.warehouse import Warehouse
from metrics import cohorts, hourly
from metrics.catalogue import COUNTS, PERCENTILES, Metric, known, metric

BUCKETS: dict[str, int] = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "6h": 21_600, "1d": 86_400}
"""Name and length in seconds; a day of a time zone with summer time may last 23 or 25 hours."""


@dataclass(frozen=True)
class Question:
    """Which metrics, of the attempts submitted in [start, end), split and filtered how.

    Day buckets begin at midnight of `time_zone`. A filter keeps the rows whose dimension has one of its values; one
    without values keeps all, as an empty filter box does. Raises `UnknownMetric` for a name that does not exist and
    `BadInput` for times without a zone, an empty window, or an unknown time zone.
    """

    metrics: tuple[str, ...]
    start: datetime
    end: datetime
    dimensions: tuple[str, ...] = ()
    bucket: str | None = None
    time_zone: str = "UTC"
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_names(self.metrics, what="metrics")
        _check_names(self.dimensions, what="dimensions")
        if not self.metrics:
            raise BadInput("a question needs at least one metric")
        for slug in self.metrics:
            metric(slug)
        for dimension in self.dimensions:
            known(dimension, DIMENSIONS, what="dimension")
        if self.bucket is not None:
            known(self.bucket, BUCKETS, what="bucket")
        cohorts.check_window(self.start, self.end)
        _check_zone(self.time_zone)
        cohorts.check_filters(self.filters)


def ask(
    warehouse: Warehouse,
    question: Question,
    *,
    now: datetime,
    on_time_seconds: int = 60,
    exact_max: int = hourly.EXACT_MAX,
    as_then: bool = False,
) -> pd.DataFrame:
    """One row a (bucket, dimension values) that has submitted attempts, ordered by them; a gap is an absent row.

    Columns: `bucket` (when asked for, in the question's time zone), the dimensions, then per metric `<slug>` (float,
    NaN where undefined), its extras, `<slug>_n` (int) and `<slug>_settled` (bool). Without bucket and dimensions there
    is always one row. `as_then` leaves out what came after `now`: the answer that was given at that moment, to compare what
    is still settling with what was as young. Over more than `exact_max` attempts percentiles may come out of digests (metrics/hourly). Raises
    `WarehouseUnavailable`.
    """
    if now.tzinfo is None:
        raise BadInput("now needs a time zone")
    if on_time_seconds < 1:
        raise BadInput("on_time_seconds must be at least 1")
    asked = [metric(slug) for slug in question.metrics]
    parameters = _parameters(question) | {"now": cohorts.text(now), "on_time_seconds": on_time_seconds}
    ahead = hourly.NONE  # it says what is known today
    if not as_then:
        ahead = _rolled_up(warehouse, question, asked, now=now, on_time_seconds=on_time_seconds, exact_max=exact_max)
    if ahead.hours:
        rows = warehouse.query_df(_select_both(question, asked, ahead.hours), parameters | ahead.parameters)
    else:
        rows = warehouse.query_df(_select(question, asked, as_then=as_then), parameters)
    if rows.empty:  # the client then gives no columns either
        rows = rows.reindex(columns=_names(question, asked))
    return _frame(rows, question, asked, now=now, on_time_seconds=on_time_seconds)


def freshness(warehouse: Warehouse, *, until: datetime | None = None) -> datetime | None:
    """When the newest attempt, or the newest before `until`, was submitted, to the millisecond in UTC; None while there is none."""
    known, spans, parameters = "true", [""], {}
    if until is not None:
        # Not a date far ahead for `until`: without a condition the engine knows the greatest minute unread, beside one that always
        # holds it read the minutes of all 20 million attempts for it, on every page. Of the last day alone it reads a day's.
        before = " WHERE request_minute <= {until:DateTime64(3, 'UTC')}"
        spans = [f"{before} AND request_minute > {{day_before:DateTime64(3, 'UTC')}}", before]
        known = "request_minute <= {until:DateTime64(3, 'UTC')} AND submitted_at <= {until:DateTime64(3, 'UTC')}"
        parameters = {"until": cohorts.text(until), "day_before": cohorts.text(until - timedelta(days=1))}
    recent = [
        f"request_minute >= (SELECT max(request_minute) FROM attempts{span}) - toIntervalHour(2)" for span in spans
    ]
    # Hours without a submission can end the table: receipts whose send is still on its way, or was never ours.
    for where in (*recent, "true"):
        sql = f"SELECT toUnixTimestamp64Milli(maxOrNull(submitted_at)) FROM attempts WHERE {known} AND {where}"
        ((milliseconds,),) = warehouse.query_rows(sql, parameters)
        if milliseconds is not None:
            return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(milliseconds))
    return None


def _rolled_up(
    warehouse: Warehouse,
    question: Question,
    asked: Sequence[Metric],
    *,
    now: datetime,
    on_time_seconds: int,
    exact_max: int,
) -> hourly.Chosen:
    """The hours for which the rollup says what the attempts say, and the split that has what is asked for."""
    split = hourly.serving(
        start=question.start,
        end=question.end,
        dimensions={*question.dimensions, *(name for name, values in question.filters.items() if values)},
        bucket_seconds=BUCKETS[question.bucket] if question.bucket else None,
        time_zone=question.time_zone,
    )
    if not split:
        return hourly.NONE
    by_time = any(one.waits_for_on_time for one in asked)
    # Of the last T before `now` not everything pending is due, and no hour of it is in the rollup's words.
    end = min(question.end, now - timedelta(seconds=on_time_seconds)) if by_time else question.end
    hours = hourly.fresh(warehouse, start=question.start, end=end, on_time_seconds=on_time_seconds if by_time else None)
    if _reads_percentiles(_values(asked)) and sum(hour.attempts for hour in hours) <= exact_max:
        return hourly.NONE
    return hourly.Chosen((split,), hours)


_UNITS = {"m": "MINUTE", "h": "HOUR"}


def _select(question: Question, asked: Sequence[Metric], *, as_then: bool) -> str:
    """Out of the attempts alone, as they are or as they were at `now`."""
    columns = [*_columns(question), *(f"{sql} AS {name}" for name, sql in _values(asked).items())]
    where = [cohorts.WINDOW, *cohorts.filter_clauses(question.filters)]
    source = f"({_then()})" if as_then else "attempts FINAL"
    return f"SELECT {', '.join(columns)}\nFROM {source}\nWHERE {' AND '.join(where)}{_grouping(question)}"


@cache
def _then() -> str:
    text = files("metrics").joinpath("then.sql").read_text(encoding="utf-8")
    sql = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return sql.replace("{window}", cohorts.WINDOW)


def _select_both(question: Question, asked: Sequence[Metric], hours: Sequence[hourly.Hour]) -> str:
    """Out of the rollup for these hours, and out of the attempts for what they leave over."""
    values = _values(asked)
    counts = [name for name, sql in COUNTS.items() if any(sql in value for value in values.values())]
    filters = cohorts.filter_clauses(question.filters)
    keys = [*(["cohort"] if question.bucket else []), *question.dimensions]
    timed = _reads_percentiles(values)

    def part(source: str, moment: str, sums: Sequence[str], digest: str, where: Sequence[str]) -> str:
        columns = [f"{_start_of(moment, question.bucket)} AS cohort"] if question.bucket else []
        columns += [f"CAST({name} AS String) AS {name}" for name in question.dimensions]
        columns += [f"{sql} AS n_{name}" for name, sql in zip(counts, sums, strict=True)]
        columns += [f"{digest} AS digest"] if timed else []
        grouping = f"\n    GROUP BY {', '.join(keys)}" if keys else ""
        return f"SELECT {', '.join(columns)}\n    FROM {source}\n    WHERE {' AND '.join([*where, *filters])}{grouping}"

    parts = [
        part(
            "rollup",
            "hour",
            [hourly.stored_sql(name) for name in counts],
            "quantilesTDigestMergeState(0.5, 0.95)(delivery)",
            [hourly.CHOSEN],
        )
    ]
    if left := hourly.gaps(hours, start=question.start, end=question.end):
        where = ["submitted", f"({' OR '.join(cohorts.between(*gap) for gap in left)})"]
        sums = [COUNTS[name] for name in counts]
        parts.append(
            part("attempts FINAL", "cohort_at", sums, "quantilesTDigestState(0.5, 0.95)(delivery_seconds)", where)
        )
    columns = [*_columns(question, cohort=False), *(f"{_summed(sql)} AS {name}" for name, sql in values.items())]
    both = "\n    UNION ALL\n    ".join(parts)
    return f"SELECT {', '.join(columns)}\nFROM\n(\n    {both}\n){_grouping(question)}"


def _values(asked: Sequence[Metric]) -> dict[str, str]:
    """Column → SQL over attempts."""
    values = {}
    for one in asked:
        values[one.slug] = one.value
        values |= {f"{one.slug}_{suffix}": sql for suffix, sql in one.extras.items()}
        values[f"{one.slug}_n"] = one.n
    return values


def _reads_percentiles(values: Mapping[str, str]) -> bool:
    return any(percentile in value for value in values.values() for percentile in PERCENTILES)


def _summed(sql: str) -> str:
    """SQL over attempts as SQL over rows that hold the counts."""
    for name, count in COUNTS.items():
        sql = sql.replace(count, f"sum(n_{name})")
    for number, percentile in enumerate(PERCENTILES, start=1):
        sql = sql.replace(percentile, f"quantilesTDigestMerge(0.5, 0.95)(digest)[{number}]")
    return sql


def _columns(question: Question, *, cohort: bool = True) -> list[str]:
    bucket = _bucket_columns(question.bucket, cohort=cohort) if question.bucket else []
    return [*bucket, *question.dimensions]


def _grouping(question: Question) -> str:
    keys = [*(["cohort"] if question.bucket else []), *question.dimensions]
    return f"\nGROUP BY {', '.join(keys)}\nORDER BY {', '.join(keys)}" if keys else ""


def _names(question: Question, asked: Sequence[Metric]) -> list[str]:
    of_bucket = ["bucket", "bucket_end"] if question.bucket else []
    return [*of_bucket, *question.dimensions, *(name for one in asked for name in one.columns)]


def _bucket_columns(bucket: str, *, cohort: bool) -> list[str]:
    """Start and end of a bucket, as Unix seconds; the end is where the next one begins."""
    seconds = BUCKETS[bucket]
    # On the day summer time ends a bucket is an hour longer: an hour more always lies within the next one.
    beyond = seconds if seconds <= 3600 else seconds + 3600
    return [
        *([f"{_start_of('cohort_at', bucket)} AS cohort"] if cohort else []),
        "toUnixTimestamp(cohort) AS bucket",
        f"toUnixTimestamp({_start_of(f'cohort + toIntervalSecond({beyond})', bucket)}) AS bucket_end",
    ]


def _start_of(moment: str, bucket: str) -> str:
    if bucket == "1d":
        return f"toStartOfDay({moment}, {{time_zone:String}})"
    return f"toStartOfInterval({moment}, INTERVAL {bucket[:-1]} {_UNITS[bucket[-1]]}, {{time_zone:String}})"


def _parameters(question: Question) -> dict[str, Any]:
    zone = {"time_zone": question.time_zone} if question.bucket else {}
    window = cohorts.window(question.start, question.end)
    return window | zone | cohorts.filter_values(question.filters)


def _frame(
    rows: pd.DataFrame, question: Question, asked: Sequence[Metric], *, now: datetime, on_time_seconds: int
) -> pd.DataFrame:
    # Made of all columns at once: put in one by one, thirty cost as much as asking for them.
    columns: dict[str, pd.Series[Any]] = {}
    ends = pd.Series(pd.Timestamp(question.end).tz_convert(UTC), index=rows.index)
    if question.bucket:
        columns["bucket"] = pd.to_datetime(rows["bucket"].astype("int64"), unit="s", utc=True).dt.tz_convert(
            question.time_zone
        )
        bucket_ends = pd.to_datetime(rows["bucket_end"].astype("int64"), unit="s", utc=True)
        ends = bucket_ends.where(bucket_ends < ends, ends)  # the last bucket of a window may be cut short
    for dimension in question.dimensions:
        columns[dimension] = rows[dimension].astype(str)
    for one in asked:
        for name in (one.slug, *(f"{one.slug}_{suffix}" for suffix in one.extras)):
            columns[name] = rows[name].astype("float64")
        columns[f"{one.slug}_n"] = rows[f"{one.slug}_n"].astype("int64")
        age = timedelta(seconds=one.settles_after_seconds(on_time_seconds=on_time_seconds))
        columns[f"{one.slug}_settled"] = ends < pd.Timestamp(now - age)
    return pd.DataFrame(columns, index=rows.index)


def _check_names(names: Sequence[str], *, what: str) -> None:
    if isinstance(names, str):
        raise BadInput(f"{what} needs a tuple of names, not one text")
    if len(set(names)) < len(names):
        raise BadInput(f"{what} names one of them twice")


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput(f"unknown time zone {name!r}", hint="use a name such as Asia/Shanghai or UTC") from None
