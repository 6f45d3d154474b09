"""How long messages take, as whole distributions: the share of accepted messages that was delivered within each time."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from core.events import DIMENSIONS
from core.warehouse import Warehouse
from metrics import cohorts
from metrics.catalogue import known
from metrics.cohorts import Filters

EDGES_SECONDS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
"""Times at which the distribution is read; near enough to each other that a line through them hides nothing."""


def delivered_within(
    warehouse: Warehouse, dimension: str, *, start: datetime, end: datetime, filters: Filters
) -> pd.DataFrame:
    """One row a value of the dimension and edge: the dimension, `seconds`, `share` of the accepted, `n` accepted.

    Attempts submitted in [start, end); the newest may still be delivered. Raises `BadInput`, `WarehouseUnavailable`.
    """
    cohorts.check_window(start, end)
    cohorts.check_filters(filters)
    known(dimension, DIMENSIONS, what="dimension")
    counts = ", ".join(
        f"countIf(delivered AND delivery_seconds <= {edge}) AS within_{place}"
        for place, edge in enumerate(EDGES_SECONDS)
    )
    where = " AND ".join([cohorts.WINDOW, "accepted", *cohorts.filter_clauses(filters)])
    sql = f"SELECT {dimension}, count() AS n, {counts} FROM attempts FINAL WHERE {where} GROUP BY {dimension}"
    rows = warehouse.query_df(sql, {**cohorts.window(start, end), **cohorts.filter_values(filters)})
    if rows.empty:
        return pd.DataFrame(columns=[dimension, "seconds", "share", "n"])
    parts = [
        pd.DataFrame(
            {
                dimension: rows[dimension].astype(str),
                "seconds": edge,
                "share": rows[f"within_{place}"] / rows["n"],
                "n": rows["n"].astype("int64"),
            }
        )
        for place, edge in enumerate(EDGES_SECONDS)
    ]
    return pd.concat(parts).sort_values([dimension, "seconds"], ignore_index=True)
