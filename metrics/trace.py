"""The story of single messages: every attempt, receipt and check of a request and what its number said, in order of time, and
the requests of a number.

A number is looked up by its keyed hash; no answer holds a number or a code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import pandas as pd

from core.errors import BadInput
from core.ids import time_of
from core.warehouse import Warehouse
from metrics import cohorts

STORY_COLUMNS = ("at", "kind", "attempt", "provider", "carrier", "what", "error_class", "error_code", "detail")
MESSAGE_COLUMNS = (
    "request_id",
    "attempt",
    "submitted_at",
    "provider",
    "carrier",
    "country",
    "region",
    "app",
    "purpose",
    "template",
    "category",
    "state",
    "error_class",
    "error_code",
    "delivery_seconds",
    "filled",
)
_LIFE = timedelta(days=8)
"""From a request to the last thing told of it: a verification lives for an hour, a receipt may take days."""


@dataclass(frozen=True)
class MessagesQuestion:
    """The attempts submitted in [start, end) with these values, newest first; `troubled`: only those that did not arrive.

    Raises `BadInput` for times without a zone, an empty window, a dimension that does not exist or a senseless `most`.
    """

    start: datetime
    end: datetime
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    troubled: bool = False
    most: int = 200

    def __post_init__(self) -> None:
        cohorts.check_window(self.start, self.end)
        cohorts.check_filters(self.filters)
        if not 1 <= self.most <= 10_000:
            raise BadInput("at least one message and at most 10,000 can be listed")


def story(warehouse: Warehouse, request_id: UUID) -> pd.DataFrame:
    """One row for everything told of a request, in order: `STORY_COLUMNS`; empty for an id nobody knows.

    `kind` is send, receipt, verify or inbound; `what` is the outcome, the status or the result in our words, or the word of
    the number, stop or start: its last one before the request, and those of the days after; `detail` says more: the cause of
    an attempt, the provider's raw status, which check it was (or conversion, told by a sender with codes of its own). `at` is by our clock, UTC.
    """
    try:
        made, until = time_of(request_id), time_of(request_id) + _LIFE
    except OverflowError:
        return pd.DataFrame(columns=list(STORY_COLUMNS))  # an id of the year 10,000 is nobody's
    parameters = {
        "id": str(request_id),
        "from": cohorts.text(made - timedelta(hours=1)),
        "until": cohorts.text(until),
    }
    sql = f"""
        SELECT at, 'send' AS kind, attempt, provider, carrier, outcome AS what, error_class, error_code,
               concat(cause, ', ', toString(latency_ms), ' ms') AS detail
        FROM send_events FINAL WHERE {_OF_REQUEST}
        UNION ALL
        SELECT at, 'receipt', attempt, provider, carrier, status, error_class, raw_code, raw_status
        FROM receipt_events FINAL WHERE {_OF_REQUEST}
        UNION ALL
        SELECT at, 'verify', attempt, provider, carrier, result, '', '', concat(source, ' ', toString(check))
        FROM verify_events FINAL WHERE {_OF_REQUEST}
        UNION ALL
        SELECT max(at), 'inbound', 0, argMax(provider, at), '', argMax(keyword, at), '', '', ''
        FROM inbound_events FINAL WHERE {_OF_NUMBER} AND at < {{from:DateTime64(3, 'UTC')}} HAVING count() > 0
        UNION ALL
        SELECT at, 'inbound', 0, provider, '', keyword, '', '', ''
        FROM inbound_events FINAL
        WHERE {_OF_NUMBER} AND at >= {{from:DateTime64(3, 'UTC')}} AND at <= {{until:DateTime64(3, 'UTC')}}"""
    frame = warehouse.query_df(sql, parameters)
    if frame.empty:
        return pd.DataFrame(columns=list(STORY_COLUMNS))
    frame["at"] = pd.to_datetime(frame["at"], utc=True)
    order = {"inbound": 0, "send": 1, "receipt": 2, "verify": 3}
    frame = frame.assign(_order=frame["kind"].map(order)).sort_values(["at", "_order", "attempt"], ignore_index=True)
    return frame[list(STORY_COLUMNS)]


def requests_of(
    warehouse: Warehouse, phone_hash: str, *, start: datetime, end: datetime, most: int = 1000
) -> pd.DataFrame:
    """The attempts to one number submitted in [start, end), newest first, at most so many: `MESSAGE_COLUMNS`."""
    cohorts.check_window(start, end)
    parameters = {**cohorts.window(start, end), "hash": phone_hash}
    return _messages(warehouse, f"{cohorts.WINDOW} AND phone_hash = {{hash:String}}", parameters, most=most)


def messages(warehouse: Warehouse, question: MessagesQuestion) -> pd.DataFrame:
    """The messages behind a figure, newest first: `MESSAGE_COLUMNS`. `state` is as `attempts` has it, in one word."""
    # Of a day's 500,000 the last hour has enough nearly always, and is read in a fifth of the time.
    latest = question.end - (question.end - question.start) / 24
    found = _within(warehouse, question, start=latest)
    return found if len(found) >= question.most else _within(warehouse, question, start=question.start)


def _within(warehouse: Warehouse, question: MessagesQuestion, *, start: datetime) -> pd.DataFrame:
    where = [cohorts.WINDOW, *cohorts.filter_clauses(question.filters)]
    if question.troubled:
        where.append("NOT delivered AND filled_at IS NULL")
    parameters = {**cohorts.window(start, question.end), **cohorts.filter_values(question.filters)}
    return _messages(warehouse, " AND ".join(where), parameters, most=question.most)


_OF_REQUEST = """request_id = {id:UUID}
            AND at >= {from:DateTime64(3, 'UTC')} AND at <= {until:DateTime64(3, 'UTC')}"""
_OF_NUMBER = f"""keyword IN ('stop', 'start') AND phone_hash IN (
            SELECT phone_hash FROM send_events FINAL WHERE {_OF_REQUEST} AND phone_hash != '')"""

_STATE = """multiIf(delivered, 'delivered', failed, 'failed', pending, 'no receipt', outcome)"""


def _messages(warehouse: Warehouse, where: str, parameters: Mapping[str, object], *, most: int) -> pd.DataFrame:
    sql = f"""
        SELECT toString(request_id) AS request_id, attempt, cohort_at AS submitted_at, provider, carrier, country, region,
               app, purpose, template, category, {_STATE} AS state,
               if(failed, failure_class, outcome_class) AS error_class, if(failed, failure_code, outcome_code) AS error_code,
               delivery_seconds, filled_at IS NOT NULL AS filled
        FROM attempts FINAL WHERE {where}
        ORDER BY cohort_at DESC, request_id, attempt LIMIT {int(most)}"""
    frame = warehouse.query_df(sql, parameters)
    if frame.empty:
        return pd.DataFrame(columns=list(MESSAGE_COLUMNS))
    frame["submitted_at"] = pd.to_datetime(frame["submitted_at"], utc=True)
    return frame[list(MESSAGE_COLUMNS)].astype({"filled": bool})
