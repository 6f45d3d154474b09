"""The counts that detection works on: what arrived when, for attempts submitted when, by leaf; SQL inside, pandas out.

A moment counts by our clock. What an event says belongs to the leaf of its attempt, and is counted once however often it
is told. An event whose attempt was not told yet is counted as soon as it is, in the minute of its own arrival.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

import pandas as pd

from core.errors import BadInput
from core.events import DIMENSIONS
from core.warehouse import Warehouse
from metrics.catalogue import known
from metrics.cohorts import Filters, check_filters, check_window, filter_clauses, filter_values, text, window

LEAF = ("provider", "carrier", "country", "region", "app", "template", "purpose")
"""What makes a leaf; sums over leaves are every slice's counts."""

COUNTS = (
    "submitted",
    "accepted",
    "receipts",
    "delivered",
    "failed",
    "filled",
    "first_checks",
    "first_checks_right",
    "accepted_codes",
)
"""`receipts` are final ones; `filled` are accepted code attempts whose own code was entered, out of `accepted_codes`."""


def arrivals(warehouse: Warehouse, start: datetime, end: datetime) -> pd.DataFrame:
    """What arrived in [start, end): one row a (`seen_minute`, `cohort_minute`, leaf) with the `COUNTS` of that minute.

    Submissions are seen in their own minute. Both minutes are aware and UTC; rows come in their order. Raises
    `WarehouseUnavailable`, and `BadInput` for a window without a zone or without length.
    """
    check_window(start, end)
    frame = warehouse.query_df(_sql("arrivals"), {"start": text(start), "end": text(end)})
    return _shaped(frame, times=("seen_minute", "cohort_minute"), names=LEAF, counts=COUNTS)


def code_totals(
    warehouse: Warehouse, scope: Filters, start: datetime, end: datetime, *, most: int = 1_000
) -> pd.DataFrame:
    """The refusals and failed receipts of attempts in `scope` that arrived in [start, end), by code, most frequent first.

    `error_class` is ours, `code` is in the provider's words; `attempts` counts them. No more than `most` codes.
    """
    check_window(start, end)
    check_filters(scope)
    sql = _sql("code_totals", scope=_conditions(scope))
    parameters = {"start": text(start), "end": text(end), "most": str(most)} | filter_values(scope)
    return _shaped(warehouse.query_df(sql, parameters), times=(), names=("error_class", "code"), counts=("attempts",))


def baseline(
    warehouse: Warehouse,
    start: datetime,
    end: datetime,
    *,
    seen_until: datetime,
    within_minutes: int | None = None,
    dimensions: Sequence[str] = LEAF,
    by_hour: bool = True,
) -> pd.DataFrame:
    """What became of the attempts submitted in [start, end), as far as it had arrived before `seen_until` and, where that is
    asked, at an age of less than `within_minutes`, by the minutes of submission and arrival as in `arrivals`.

    One row a (`cohort_hour`, dimension values) with the `COUNTS`; without `by_hour` one row for all hours.
    """
    check_window(start, end)
    hour = "toUnixTimestamp(toStartOfHour(cohort_at)) AS cohort_hour, " if by_hour else ""
    grouping = "GROUP BY ALL\nORDER BY ALL" if by_hour or dimensions else ""
    known_until, parameters = "{seen_until:DateTime64(3, 'UTC')}", window(start, end) | {"seen_until": text(seen_until)}
    if within_minutes is not None:
        known_until = f"least({known_until}, toStartOfMinute(cohort_at) + toIntervalMinute({{within:UInt32}}))"
        parameters["within"] = str(within_minutes)
    sql = _sql("baseline", hour=hour, dimensions=_list(dimensions), grouping=grouping, known_until=known_until)
    frame = warehouse.query_df(sql, parameters)
    return _shaped(frame, times=("cohort_hour",) if by_hour else (), names=dimensions, counts=COUNTS)


def delays(
    warehouse: Warehouse,
    start: datetime,
    end: datetime,
    *,
    seen_until: datetime,
    dimensions: Sequence[str] = ("provider", "carrier", "country"),
) -> pd.DataFrame:
    """When, after submission, receipts and fills of the attempts submitted in [start, end) came, if before `seen_until`.

    One row a (dimension values, `lag_minutes`) with `receipts`, `delivered` and `filled` that came in just that minute;
    the lag is from the minute of submission to the minute of arrival, as in `arrivals`.
    """
    check_window(start, end)
    sql = _sql("delays", dimensions=_list(dimensions))
    frame = warehouse.query_df(sql, window(start, end) | {"seen_until": text(seen_until)})
    return _shaped(frame, times=(), names=dimensions, counts=("lag_minutes", "receipts", "delivered", "filled"))


@dataclass(frozen=True)
class Affected:
    """The attempts of a scope and a window, those that fared badly, and the different people among these."""

    attempts: int
    harmed: int
    people: int


BADLY: Mapping[str, str] = {
    "accepted": "NOT is_accepted",
    "receipts": "is_accepted AND NOT is_final",
    "delivered": "is_accepted AND NOT (is_final AND is_delivered)",
    "filled": "is_accepted AND is_code_attempt AND NOT ifNull(filled_at < {seen_until:DateTime64(3, 'UTC')}, false)",
    "right": "ifNull(first_check_at < {seen_until:DateTime64(3, 'UTC')}, false) AND NOT first_check_right",
    "delay": "is_accepted AND NOT (is_final AND NOT is_delivered)"
    " AND least(if(is_final, final_at, {seen_until:DateTime64(3, 'UTC')}), {seen_until:DateTime64(3, 'UTC')})"
    " > cohort_at + INTERVAL 60 SECOND",
}
"""What it is to fare badly, by what moved; of a delay, to be delivered after a minute or not yet."""


def affected(
    warehouse: Warehouse, scope: Filters, start: datetime, end: datetime, *, seen_until: datetime, channel: str
) -> Affected:
    """Who fared badly in `scope` of the attempts submitted in [start, end), as far as was known by `seen_until`.

    `channel` is one of `BADLY`. An attempt without a hash (a file that knew no number) counts as one person.
    """
    check_window(start, end)
    check_filters(scope)
    badly = BADLY[known(channel, tuple(BADLY), what="channel")]
    sql = _sql("affected", scope=_conditions(scope), badly=badly)
    parameters = window(start, end) | filter_values(scope) | {"seen_until": text(seen_until)}
    ((attempts, harmed, people),) = warehouse.query_rows(sql, parameters)
    return Affected(int(attempts), int(harmed), int(people))


def _sql(name: str, **parts: str) -> str:
    sql = files("metrics.counts").joinpath(f"{name}.sql").read_text(encoding="utf-8")
    body = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    for part, value in parts.items():
        body = body.replace(f"{{{part}}}", value)
    return body


def _conditions(scope: Filters) -> str:
    return "".join(f"AND {clause}\n" for clause in filter_clauses(scope))


def _list(dimensions: Sequence[str]) -> str:
    if isinstance(dimensions, str):
        raise BadInput("dimensions needs names, not one text")
    return "".join(f"{known(name, DIMENSIONS, what='dimension')}, " for name in dimensions)


def _shaped(frame: pd.DataFrame, *, times: Sequence[str], names: Sequence[str], counts: Sequence[str]) -> pd.DataFrame:
    if frame.empty:  # the client then gives no columns either
        frame = frame.reindex(columns=[*times, *names, *counts])
    for time in times:
        frame[time] = pd.to_datetime(frame[time].astype("int64"), unit="s", utc=True)
    for name in names:
        frame[name] = frame[name].astype(str)
    for count in counts:
        frame[count] = frame[count].astype("int64")
    return frame[[*times, *names, *counts]]
