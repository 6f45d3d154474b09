"""How the data itself comes in: what arrives minute by minute, what could not be read, how far detection has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from core.warehouse import Warehouse
from metrics import cohorts
from metrics.query import BUCKETS
from metrics.runs import Job, Run, latest

KINDS = ("send", "receipt", "verify", "inbound")
LETTER_COLUMNS = ("reason", "source", "letters", "first", "last", "place", "payload", "masked")

_JUDGED = "SELECT toUnixTimestamp(max(minute)) FROM detection_progress FINAL"


def arrivals(warehouse: Warehouse, *, start: datetime, end: datetime, bucket: str) -> pd.DataFrame:
    """Events by kind and bucket of their own time, in [start, end): `bucket` (UTC), `kind`, `events` a minute.

    An event counts when it happened, so a backlog that is made up later fills its gap; one that the queue delivered twice
    counts twice until its parts are merged: to count it once took 6 s of a day at 500,000 attempts. A kind that occurs has a
    row in every bucket until the newest event: 0 where none came. Raises `WarehouseUnavailable`.
    """
    cohorts.check_window(start, end)
    seconds = BUCKETS[bucket]
    parts = " UNION ALL ".join(
        f"SELECT toInt64(intDiv(toUnixTimestamp(at), {seconds}) * {seconds}) AS bucket, '{kind}' AS kind, "
        f"count() AS events FROM {kind}_events "
        "WHERE at >= {start:DateTime64(3, 'UTC')} AND at < {end:DateTime64(3, 'UTC')} GROUP BY bucket"
        for kind in KINDS
    )
    rows = warehouse.query_df(f"SELECT * FROM ({parts})", {"start": cohorts.text(start), "end": cohorts.text(end)})
    if rows.empty:
        return pd.DataFrame(columns=["bucket", "kind", "events"])
    counted = rows.pivot_table(index="bucket", columns="kind", values="events", aggfunc="sum", fill_value=0)
    first, after = start.timestamp(), end.timestamp()
    every = range(int(first // seconds) * seconds, int(counted.index.max()) + 1, seconds)
    # The first and the last bucket lie only in part within the range.
    minutes = [(min(begin + seconds, after) - max(begin, first)) / 60 for begin in every]
    rates = counted.reindex(every, fill_value=0).div(minutes, axis=0).rename_axis(index="bucket")
    told = rates.reset_index().melt("bucket", var_name="kind", value_name="events")
    told["bucket"] = pd.to_datetime(told["bucket"], unit="s", utc=True)
    return told


def dead_letters(warehouse: Warehouse, *, start: datetime, end: datetime, most: int = 100) -> pd.DataFrame:
    """What could not be read, given up in [start, end), by reason and source: `LETTER_COLUMNS`, the most frequent first.

    `place` and `payload` are those of the latest one; a payload is masked where it held what may be a number or a code.
    """
    cohorts.check_window(start, end)
    sql = f"""
        SELECT reason, source, count() AS letters, toUnixTimestamp64Milli(min(at)) AS first,
               toUnixTimestamp64Milli(max(at)) AS last, argMax(place, at) AS place, argMax(payload, at) AS payload,
               argMax(masked, at) AS masked
        FROM dead_letters FINAL
        WHERE at >= {{start:DateTime64(3, 'UTC')}} AND at < {{end:DateTime64(3, 'UTC')}}
        GROUP BY reason, source ORDER BY letters DESC, reason, source LIMIT {int(most)}"""
    rows = warehouse.query_df(sql, {"start": cohorts.text(start), "end": cohorts.text(end)})
    if rows.empty:
        return pd.DataFrame(columns=list(LETTER_COLUMNS))
    for name in ("first", "last"):
        rows[name] = pd.to_datetime(rows[name], unit="ms", utc=True)
    return rows[list(LETTER_COLUMNS)]


@dataclass(frozen=True)
class Runs:
    """How far the jobs of the scheduler have come, None for one that has not run: the last minute that was judged, and when
    hours were rolled up and days merged last; and how the last run of each came out, None where that is not noted yet."""

    judged: datetime | None
    rolled_up: datetime | None
    merged: datetime | None
    latest: Mapping[Job, Run] | None


def runs(warehouse: Warehouse) -> Runs:
    """What the jobs of the scheduler left behind. Raises `WarehouseUnavailable`."""
    sql = f"""
        SELECT
            ({_JUDGED}),
            (SELECT toUnixTimestamp(max(covers_until)) FROM rollup_built),
            (SELECT toUnixTimestamp(max(settled_at)) FROM settled_days)"""
    (found,) = warehouse.query_rows(sql)
    judged, rolled_up, merged = (datetime.fromtimestamp(int(seconds), UTC) if seconds else None for seconds in found)
    return Runs(judged, rolled_up, merged, latest(warehouse))


def last_judged(warehouse: Warehouse) -> datetime | None:
    """The last minute that was judged, None before the first. Raises `WarehouseUnavailable`."""
    ((seconds,),) = warehouse.query_rows(_JUDGED)
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None
