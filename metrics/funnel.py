"""Where codes are lost on their way: every code attempt is counted once, at the first step it did not come past.

A code that was entered has arrived, whatever its receipts say: it counts as accepted, received and delivered. The steps of the
funnel therefore never grow, and differ from the delivery rate where receipts are missing or wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from core.events import DIMENSIONS
from core.warehouse import Warehouse
from metrics import cohorts
from metrics.catalogue import known

STEPS = ("submitted", "accepted", "received", "delivered", "filled", "approved")
"""In their order. `filled`: the attempt's own code was entered; `approved`: and its verification succeeded by then."""

LOST_STEPS = STEPS[1:]
"""A step at which an attempt can be lost: the one it did not reach."""

_LATE_SECONDS = 3600


@dataclass(frozen=True)
class FunnelQuestion:
    """The code attempts submitted in [start, end), with these values, by one dimension or all together.

    Raises `BadInput` for times without a zone, an empty window or a dimension that does not exist.
    """

    start: datetime
    end: datetime
    dimension: str | None = None
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cohorts.check_window(self.start, self.end)
        cohorts.check_filters(self.filters)
        if self.dimension is not None:
            known(self.dimension, DIMENSIONS, what="dimension")


# An attempt of a verification that others approved without its code is lost at `filled`: the user read another message.
_APPROVED_REQUESTS = """
    SELECT request_id FROM attempts FINAL
    WHERE attempt = 1 AND approved_at IS NOT NULL AND request_minute >= {first_minute:DateTime('UTC')}
    AND request_minute <= {last_minute:DateTime('UTC')}"""

_LOST_AT = f"""multiIf(
    filled_at IS NOT NULL, if(request_id IN ({_APPROVED_REQUESTS}), '', 'approved'),
    NOT accepted, 'accepted',
    pending, 'received',
    failed, 'delivered',
    'filled')"""

_CAUSE = f"""multiIf(
    lost_at = 'accepted', (outcome, outcome_class, outcome_code),
    lost_at = 'received', (if(cohort_at < {{now:DateTime64(3, 'UTC')}} - toIntervalSecond({_LATE_SECONDS}), 'silent', 'waiting'), '', ''),
    lost_at = 'delivered', ('failed', failure_class, failure_code),
    lost_at = 'filled', (if(request_id IN ({_APPROVED_REQUESTS}), 'other_attempt', 'not_entered'), '', ''),
    ('not_approved', '', ''))"""


def steps(warehouse: Warehouse, question: FunnelQuestion) -> pd.DataFrame:
    """One row a value of the dimension (one in all without it), by volume: the dimension, then a count a step.

    A window without code attempts gives no row. Raises `WarehouseUnavailable`.
    """
    name = question.dimension
    counts = ", ".join(f"countIf(lost_at = '{step}') AS lost_{step}" for step in LOST_STEPS)
    keys = f"{name}, " if name else ""
    grouping = f"GROUP BY {name}" if name else ""
    sql = (
        f"SELECT {keys}count() AS submitted, {counts} FROM "
        f"(SELECT {keys}{_LOST_AT} AS lost_at FROM attempts FINAL WHERE {_where(question)}) {grouping}"
    )
    rows = warehouse.query_df(sql, _parameters(question))
    rows = rows[rows["submitted"] > 0] if not rows.empty else rows
    frame = pd.DataFrame({name: rows[name].astype(str)} if name and not rows.empty else {}, index=rows.index)
    left = rows["submitted"].astype("int64") if not rows.empty else pd.Series(dtype="int64")
    frame["submitted"] = left
    for step in LOST_STEPS:
        left = left - rows[f"lost_{step}"].astype("int64") if not rows.empty else left
        frame[step] = left
    by = ["submitted", name] if name and not rows.empty else ["submitted"]
    return frame.sort_values(by, ascending=[False, True][: len(by)], ignore_index=True)


def causes(warehouse: Warehouse, question: FunnelQuestion, *, now: datetime, most: int = 8) -> pd.DataFrame:
    """Why attempts were lost: `step`, `what`, `error_class`, `provider`, `error_code`, `lost`, at most `most` rows a step, largest first.

    `what` is the outcome of the submission, `failed` (by a receipt), `waiting` or `silent` (no final receipt, for less or
    more than an hour), `other_attempt`, `not_entered` or `not_approved`. A code means something only with the provider it came
    from: those of two are two rows; where there is no code, `provider` is empty. Raises `WarehouseUnavailable`.
    """
    sql = (
        f"SELECT lost_at AS step, cause.1 AS what, cause.2 AS error_class, cause.3 AS error_code, "
        f"if(error_code = '', '', name) AS provider, count() AS lost FROM "
        f"(SELECT provider AS name, {_LOST_AT} AS lost_at, {_CAUSE} AS cause FROM attempts FINAL WHERE {_where(question)}) "
        f"WHERE lost_at != '' GROUP BY step, what, error_class, provider, error_code "
        f"ORDER BY lost DESC, what, error_class, provider, error_code LIMIT {int(most)} BY step"
    )
    rows = warehouse.query_df(sql, _parameters(question) | {"now": cohorts.text(now)})
    names = ["step", "what", "error_class", "provider", "error_code"]
    if rows.empty:
        return pd.DataFrame(columns=[*names, "lost"])
    return rows[[*names, "lost"]].astype(dict.fromkeys(names, str) | {"lost": "int64"})


def _where(question: FunnelQuestion) -> str:
    return " AND ".join([cohorts.WINDOW, "is_code", *cohorts.filter_clauses(question.filters)])


def _parameters(question: FunnelQuestion) -> dict[str, object]:
    return {**cohorts.window(question.start, question.end), **cohorts.filter_values(question.filters)}
