"""Which error codes messages fail with, in the words of each provider and in our vocabulary."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from core.warehouse import Warehouse
from metrics import cohorts
from metrics.cohorts import Filters

COLUMNS = ("provider", "stage", "error_class", "error_code", "failed", "submitted")


def failures(warehouse: Warehouse, *, start: datetime, end: datetime, filters: Filters, most: int = 10) -> pd.DataFrame:
    """`COLUMNS`, at most `most` rows a provider, the most frequent first.

    `stage` is answer (the provider did not take it) or receipt (it was taken and not delivered); `submitted` is what the
    provider was handed in all. Raises `BadInput`, `WarehouseUnavailable`.
    """
    cohorts.check_window(start, end)
    cohorts.check_filters(filters)
    where = " AND ".join([cohorts.WINDOW, *cohorts.filter_clauses(filters)])
    sql = f"""
        SELECT provider, stage, error_class, error_code, count() AS failed,
               any(handed) AS submitted
        FROM (
            SELECT provider, if(accepted, 'receipt', 'answer') AS stage,
                   if(accepted, failure_class, outcome_class) AS error_class,
                   if(accepted, failure_code, outcome_code) AS error_code,
                   NOT accepted OR failed AS is_failure,
                   count() OVER (PARTITION BY provider) AS handed
            FROM attempts FINAL WHERE {where}
        )
        WHERE is_failure
        GROUP BY provider, stage, error_class, error_code
        ORDER BY provider, failed DESC, stage, error_class, error_code LIMIT {int(most)} BY provider"""
    rows = warehouse.query_df(sql, {**cohorts.window(start, end), **cohorts.filter_values(filters)})
    if rows.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    return rows[list(COLUMNS)].astype({"failed": "int64", "submitted": "int64"})
