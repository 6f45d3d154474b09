"""How the service itself did, beside the ten metrics: the history of its status, the availability of its API, and what waited
in its journals.

Availability is the share of calls that were not answered with a failure of ours (5xx, refused for load included), against
a goal of 99.99 %. Undefined is NaN, and every value travels with its n.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from core.errors import BadInput
from core.warehouse import Warehouse
from metrics.query import BUCKETS

AVAILABILITY_GOAL = 0.9999

_SAME_CHANGE_US = 60_000_000
"""Instances notice within seconds of each other, or hear it."""


def status_history(warehouse: Warehouse, *, start: datetime, end: datetime, component: str = "") -> pd.DataFrame:
    """Every change of status in [start, end), the latest first; of one component, or of all.

    Columns: `at` (UTC), `component`, `old`, `new`, `reason`, `instances` (how many told of the same change within a
    minute of the first), `instance` (which told first). Raises `WarehouseUnavailable`.
    """
    where = " AND component = {component:String}" if component else ""
    sql = f"""
        SELECT toUnixTimestamp64Micro(at), component, old, new, reason, instance
        FROM status_events FINAL
        WHERE {_WINDOW}{where}
        ORDER BY at, event_id"""
    told = warehouse.query_rows(sql, _window(start, end) | ({"component": component} if component else {}))
    changes = sorted(_changes(told), key=lambda one: (-one.at_us, one.component))
    columns = ["at", "component", "old", "new", "reason", "instances", "instance"]
    rows = pd.DataFrame(
        [
            (one.at_us, one.component, one.old, one.new, one.reason, len(one.instances), one.instances[0])
            for one in changes
        ],
        columns=columns,
    )
    rows["at"] = pd.to_datetime(rows["at"].astype("int64"), unit="us", utc=True)
    return rows


@dataclass(frozen=True)
class _Change:
    at_us: int
    component: str
    old: str
    new: str
    reason: str
    instances: list[str]


def _changes(told: Iterable[tuple[Any, ...]]) -> list[_Change]:
    """What instances told, in its order, as changes: the same one of several within a minute of the first is one. An instance
    that tells of it again saw it happen again."""
    changes: list[_Change] = []
    latest: dict[tuple[str, str, str], _Change] = {}
    for at_us, component, old, new, reason, instance in told:
        name, key = _text(instance), (component, old, new)
        one = latest.get(key)
        if one is None or at_us - one.at_us >= _SAME_CHANGE_US or name in one.instances:
            one = latest[key] = _Change(at_us, component, old, new, reason, [])
            changes.append(one)
        one.instances.append(name)
    return changes


def availability(warehouse: Warehouse, *, start: datetime, end: datetime, bucket: str | None = None) -> pd.DataFrame:
    """The availability of the API in [start, end), over all instances; one row, or one a bucket that had calls.

    Columns: `bucket` (UTC, when asked for), `availability` (NaN without a call), `n` (calls), `failed`, `shed`, `goal`
    and `within_goal` (None without a call). Raises `BadInput`, `WarehouseUnavailable`.
    """
    key = _bucket_key(bucket) if bucket is not None else "0"
    sql = f"""
        SELECT toInt64({key}) AS bucket, toInt64(sum(calls)) AS n, toInt64(sum(failed)) AS failed,
            toInt64(sum(shed)) AS shed
        FROM availability_minutes FINAL
        WHERE {_WINDOW}
        {"GROUP BY bucket HAVING n > 0 ORDER BY bucket" if bucket else ""}"""
    rows = _frame(warehouse, sql, _window(start, end), ["bucket", "n", "failed", "shed"]).astype("int64")
    rows.insert(1, "availability", 1 - rows["failed"] / rows["n"].where(rows["n"] > 0))
    rows["goal"] = AVAILABILITY_GOAL
    within = (rows["availability"] >= AVAILABILITY_GOAL).astype("object")
    rows["within_goal"] = within.where(rows["n"] > 0, None)
    if bucket:
        rows["bucket"] = pd.to_datetime(rows["bucket"], unit="s", utc=True)
        return rows
    return rows.drop(columns="bucket")


def backlogs(warehouse: Warehouse, *, start: datetime, end: datetime, bucket: str) -> pd.DataFrame:
    """What waited in the journals of each instance in [start, end): a row a bucket and instance that told of it, in order.

    Columns: `bucket` (UTC), `instance`, `told_at` (the newest minute, UTC), in bytes what waited then (`store`: in the journal
    of the stores, `events`: in that of events) and the most in the bucket (`store_most`, `events_most`). Raises `BadInput`,
    `WarehouseUnavailable`.
    """
    sql = f"""
        SELECT toInt64({_bucket_key(bucket)}) AS bucket, instance AS id, toInt64(toUnixTimestamp(max(at))) AS told_at,
            toInt64(argMax(store_backlog_bytes, at)) AS store, toInt64(argMax(events_backlog_bytes, at)) AS events,
            toInt64(max(store_backlog_bytes)) AS store_most, toInt64(max(events_backlog_bytes)) AS events_most
        FROM availability_minutes FINAL
        WHERE {_WINDOW} AND store_backlog_bytes IS NOT NULL AND events_backlog_bytes IS NOT NULL
        GROUP BY bucket, id
        ORDER BY bucket, id"""
    sizes = ["store", "events", "store_most", "events_most"]
    rows = _frame(warehouse, sql, _window(start, end), ["bucket", "id", "told_at", *sizes])
    rows[sizes] = rows[sizes].astype("int64")
    rows.insert(1, "instance", [_text(value) for value in rows.pop("id")])
    for moment in ("bucket", "told_at"):
        rows[moment] = pd.to_datetime(rows[moment].astype("int64"), unit="s", utc=True)
    return rows


def _bucket_key(bucket: str) -> str:
    if bucket not in BUCKETS:
        raise BadInput(f"no bucket is called {bucket!r}", hint="there are: " + ", ".join(BUCKETS))
    return f"toUnixTimestamp(at) - toUnixTimestamp(at) % {BUCKETS[bucket]}"


_WINDOW = "at >= {start:DateTime64(6, 'UTC')} AND at < {end:DateTime64(6, 'UTC')}"


def _window(start: datetime, end: datetime) -> dict[str, str]:
    if start.tzinfo is None or end.tzinfo is None:
        raise BadInput("start and end need a time zone")
    if start >= end:
        raise BadInput("a window must begin before it ends")
    return {
        "start": start.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "end": end.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
    }


def _frame(warehouse: Warehouse, sql: str, parameters: dict[str, str], columns: list[str]) -> pd.DataFrame:
    rows = warehouse.query_df(sql, parameters)
    return rows if not rows.empty else rows.reindex(columns=columns)  # the client gives no columns without rows


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value  # a FixedString comes as bytes
