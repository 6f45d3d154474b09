"""Which error codes grew in a scope: counts of failures by code, from attempts at hand or from the warehouse."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

import pandas as pd

from core.warehouse import Warehouse
from metrics import counts
from metrics.detection.incidents import LeadingCode, Scope

MOST_CODES = 3
_COLUMNS = ("code", "error_class", "count")


class Codes(Protocol):
    """Counts failures of messages in a scope."""

    def count(self, scope: Scope, start: datetime, end: datetime) -> pd.DataFrame:
        """Failures that came in [start, end): columns `code`, `error_class`, `count`, one row a code."""


class NoCodes:
    """Knows of no code."""

    def count(self, scope: Scope, start: datetime, end: datetime) -> pd.DataFrame:
        return pd.DataFrame(columns=list(_COLUMNS))


class FrameCodes:
    """Counts in a frame of attempts: refused answers by `outcome_class` and `outcome_code`, failed receipts by `failure_class`, `failure_code`."""

    def __init__(self, attempts: pd.DataFrame) -> None:
        answered = attempts[attempts["outcome"].isin(["rejected", "failed", "unknown"])]
        received = attempts[attempts["failed_at"].notna()] if "failed_at" in attempts else attempts[:0]
        self._parts = [_named(answered, "submitted_at", "outcome"), _named(received, "failed_at", "failure")]

    def count(self, scope: Scope, start: datetime, end: datetime) -> pd.DataFrame:
        found = [_inside(part, scope, start, end) for part in self._parts if not part.empty]
        if not found:
            return NoCodes().count(scope, start, end)
        counted = pd.concat(found).groupby(["code", "error_class"], observed=True).size().rename("count")
        return counted.reset_index()


def _named(failed: pd.DataFrame, moment: str, word: str) -> pd.DataFrame:
    def told(column: str) -> pd.Series:
        return failed[column].astype("object").fillna("") if column in failed else pd.Series("", index=failed.index)

    at = pd.to_datetime(failed[moment], utc=True) if moment in failed else pd.Series(dtype="datetime64[ms, UTC]")
    return failed.assign(at=at, code=told(f"{word}_code"), error_class=told(f"{word}_class")).sort_values("at")


def _inside(part: pd.DataFrame, scope: Scope, start: datetime, end: datetime) -> pd.DataFrame:
    first, last = part["at"].searchsorted(pd.Timestamp(start)), part["at"].searchsorted(pd.Timestamp(end))
    rows = part.iloc[first:last]
    for name, values in scope.items():
        if name in rows:
            rows = rows[rows[name].astype("object").isin(values)]
    return rows


class WarehouseCodes:
    """Counts in the warehouse."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def count(self, scope: Scope, start: datetime, end: datetime) -> pd.DataFrame:
        return counts.code_totals(self._warehouse, scope, start, end).rename(columns={"attempts": "count"})


def leading(codes: Codes, scope: Scope, start: datetime, now: datetime) -> tuple[LeadingCode, ...]:
    """The codes that grew since `start` against the day before it, largest first, with their part of what grew."""
    since = codes.count(scope, start, now)
    if since.empty:
        return ()
    day = timedelta(days=1)
    before = codes.count(scope, start - day, start)
    usual = _by_code(before)
    scale = (now - start) / day
    grown = {key: max(0.0, count - scale * usual.get(key, 0.0)) for key, count in _by_code(since).items()}
    total = sum(grown.values())
    if total < 3:
        return ()
    ranked = sorted(grown.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_CODES]
    return tuple(LeadingCode(code or name, name, round(grew / total, 3)) for (code, name), grew in ranked if grew > 0)


def _by_code(counted: pd.DataFrame) -> dict[tuple[str, str], float]:
    columns = (counted["code"].astype(str), counted["error_class"].astype(str), counted["count"].astype(float))
    return {(code, name): count for code, name, count in zip(*columns, strict=True)}
