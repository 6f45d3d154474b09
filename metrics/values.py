"""Which values each dimension has: what a filter offers. Hours of the rollup say it for their attempts, which are hundreds of
times as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.events import DIMENSIONS
from core.warehouse import Warehouse
from metrics import cohorts, hourly
from metrics.catalogue import known


def values_of(
    warehouse: Warehouse, dimensions: Sequence[str], *, start: datetime, end: datetime
) -> dict[str, list[str]]:
    """The values each dimension has among the attempts submitted in [start, end), sorted; '' where nobody knew it."""
    for name in dimensions:
        known(name, DIMENSIONS, what="dimension")
    cohorts.check_window(start, end)
    splits = {name: _split(name, start, end) for name in dimensions}
    hours = hourly.fresh(warehouse, start=start, end=end, on_time_seconds=None) if all(splits.values()) else ()
    chosen = hourly.Chosen(sorted(set(splits.values())), hours)
    sets = ", ".join(f"arraySort(groupUniqArrayIf({name}, split IN ('', '{split}')))" for name, split in splits.items())
    sql = f"SELECT {sets} FROM ({_rows(dimensions, chosen, start, end)})"
    (row,) = warehouse.query_rows(sql, chosen.parameters if hours else {})
    return {name: [str(value) for value in values] for name, values in zip(dimensions, row, strict=True)}


def _split(dimension: str, start: datetime, end: datetime) -> str:
    """The one of fewest rows that has it."""
    return hourly.serving(start=start, end=end, dimensions=(dimension,), bucket_seconds=None, time_zone="UTC")


def _rows(dimensions: Sequence[str], chosen: hourly.Chosen, start: datetime, end: datetime) -> str:
    """The attempts that the hours leave over, of no split, and the hours."""
    names = ", ".join(f"CAST({name} AS String) AS {name}" for name in dimensions)
    parts = []
    if left := hourly.gaps(chosen.hours, start=start, end=end):
        within = " OR ".join(cohorts.between(*gap) for gap in left)
        parts.append(f"SELECT '' AS split, {names} FROM attempts FINAL WHERE submitted AND ({within})")
    if chosen.hours:
        parts.append(f"SELECT split, {names} FROM rollup WHERE {hourly.CHOSEN}")
    return " UNION ALL ".join(parts)
