"""Which values each dimension has: what a filter offers, the most frequent where there are very many. Hours of the rollup say it
for their attempts, which are hundreds of times as many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.events import DIMENSIONS
from core.warehouse import Warehouse
from metrics import cohorts, hourly
from metrics.catalogue import known

VALUES_MAX = 250
"""Of a dimension: there are about as many countries, and nobody reads a list of more."""


@dataclass(frozen=True)
class Values:
    """Of a dimension: those found, sorted, '' where nobody knew it; `more` when others are too rare to be among them."""

    names: tuple[str, ...] = ()
    more: bool = False


def values_of(
    warehouse: Warehouse, dimensions: Sequence[str], *, start: datetime, end: datetime, most: int = VALUES_MAX
) -> dict[str, Values]:
    """The values each dimension has among the attempts submitted in [start, end): all, or as many as `most` of most attempts."""
    for name in dimensions:
        known(name, DIMENSIONS, what="dimension")
    cohorts.check_window(start, end)
    splits = {name: _split(name, start, end) for name in dimensions}
    hours = hourly.fresh(warehouse, start=start, end=end, on_time_seconds=None) if all(splits.values()) else ()
    chosen = hourly.Chosen(sorted(set(splits.values())), hours)
    sql = _counted(splits, _rows(dimensions, chosen, start, end), most=most + 1)
    found: dict[str, list[str]] = {name: [] for name in dimensions}
    for name, value in warehouse.query_rows(sql, chosen.parameters if hours else {}):
        found[name].append(str(value))
    return {name: Values(tuple(sorted(names[:most])), more=len(names) > most) for name, names in found.items()}


def _counted(splits: Mapping[str, str], rows: str, *, most: int) -> str:
    """So many values of each dimension, those of most attempts first. The engine counts by each dimension in one reading."""
    sets = ", ".join(f"(split, {name})" for name in splits)
    named = ", ".join(f"grouping({name}) = 0, '{name}'" for name in splits)
    valued = ", ".join(f"grouping({name}) = 0, {name}" for name in splits)
    right = ", ".join(f"('{name}', ''), ('{name}', '{split}')" for name, split in splits.items())
    return f"""
        SELECT dimension, value
        FROM (
            SELECT split, multiIf({named}, '') AS dimension, multiIf({valued}, '') AS value, sum(weight) AS attempts
            FROM ({rows})
            GROUP BY GROUPING SETS ({sets})
        )
        WHERE (dimension, split) IN ({right})
        GROUP BY dimension, value
        ORDER BY sum(attempts) DESC, value
        LIMIT {int(most)} BY dimension"""


def _split(dimension: str, start: datetime, end: datetime) -> str:
    """The one of fewest rows that has it."""
    return hourly.serving(start=start, end=end, dimensions=(dimension,), bucket_seconds=None, time_zone="UTC")


def _rows(dimensions: Sequence[str], chosen: hourly.Chosen, start: datetime, end: datetime) -> str:
    """The attempts that the hours leave over, of no split, and the hours."""
    names = ", ".join(f"CAST({name} AS String) AS {name}" for name in dimensions)
    parts = []
    if left := hourly.gaps(chosen.hours, start=start, end=end):
        within = " OR ".join(cohorts.between(*gap) for gap in left)
        parts.append(
            f"SELECT '' AS split, {names}, toUInt64(1) AS weight FROM attempts FINAL WHERE submitted AND ({within})"
        )
    if chosen.hours:
        parts.append(f"SELECT split, {names}, submitted AS weight FROM rollup WHERE {hourly.CHOSEN}")
    return " UNION ALL ".join(parts)
