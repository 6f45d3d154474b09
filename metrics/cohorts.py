"""Which rows of `attempts` a question is about: those submitted in a window, with certain values, in SQL and its parameters.

Refuses names that do not exist; values are bound by the server, so that no text of a caller's becomes SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from core.errors import BadInput
from core.events import DIMENSIONS
from metrics.catalogue import known

Filters = Mapping[str, Sequence[str]]
"""Values kept, by dimension; a dimension without values keeps all, as an empty filter box does."""

_SLACK = timedelta(hours=1)
"""From the minute of a request to the submission of its attempts: the longest lifetime of a verification.

Before the minute it can lie too: after a clock was set back, ids go on from where they were.
"""

WINDOW = """
    submitted
    AND cohort_at >= {start:DateTime64(3, 'UTC')} AND cohort_at < {end:DateTime64(3, 'UTC')}
    AND request_minute >= {first_minute:DateTime('UTC')} AND request_minute <= {last_minute:DateTime('UTC')}"""
"""The rows submitted in the window that `window` gives the parameters of."""


def window(start: datetime, end: datetime) -> dict[str, str]:
    """The parameters of `WINDOW`."""
    return {
        "start": text(start),
        "end": text(end),
        "first_minute": text(start - _SLACK)[:19],
        "last_minute": text(end + _SLACK)[:19],
    }


def between(start: float, end: float) -> str:
    """A condition for the rows whose submission lies in [start, end), in Unix seconds to the millisecond."""
    slack = _SLACK.total_seconds()
    return (
        f"(cohort_at >= fromUnixTimestamp64Milli({round(start * 1000)}, 'UTC')"
        f" AND cohort_at < fromUnixTimestamp64Milli({round(end * 1000)}, 'UTC')"
        f" AND request_minute >= toDateTime({int(start - slack)}, 'UTC')"
        f" AND request_minute <= toDateTime({int(end + slack)}, 'UTC'))"
    )


def filter_clauses(filters: Filters) -> list[str]:
    """A condition for each dimension that has values."""
    return [f"{name} IN {{in_{name}:Array(String)}}" for name, values in filters.items() if values]


def filter_values(filters: Filters) -> dict[str, list[str]]:
    """The parameters of those conditions."""
    return {f"in_{name}": [str(value) for value in values] for name, values in filters.items() if values}


def check_filters(filters: Filters) -> None:
    """Raise `BadInput` for a dimension that does not exist, or one text where a list belongs."""
    for dimension, values in filters.items():
        known(dimension, DIMENSIONS, what="dimension")
        if isinstance(values, str):
            raise BadInput(f"the filter on {dimension} needs a list of values, not one text")


def check_window(start: datetime, end: datetime) -> None:
    """Raise `BadInput` for times without a zone, or an empty window."""
    if start.tzinfo is None or end.tzinfo is None:
        raise BadInput("start and end need a time zone")
    if start >= end:
        raise BadInput("a window must begin before it ends")


def text(moment: datetime) -> str:
    """A moment as ClickHouse reads it, in UTC, to the millisecond."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:23]
