"""How the jobs of the scheduler came out: each notes how its last run ended, whichever scheduler it was in, and the dashboard reads it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import structlog

from core.errors import WarehouseRefused
from core.redact import described
from core.warehouse import Warehouse
from metrics.cohorts import text

_log = structlog.get_logger(__name__)

Job = Literal["minute", "rollup", "settling", "report"]

_NO_SUCH_TABLE = 60
"""As ClickHouse says it. The first program that writes makes the table, and the dashboard, which reads only, may be there before."""


@dataclass(frozen=True)
class Run:
    """When a run ended, and what broke in it; empty when nothing did."""

    at: datetime
    failure: str = ""


def note(warehouse: Warehouse, job: Job, *, at: datetime, failure: str = "") -> None:
    """Note how a run ended. Raises nothing: a job that cannot say how it came out has come out all the same."""
    try:
        warehouse.insert_json("job_runs", json.dumps({"job": job, "at": text(at), "failure": failure}).encode())
    except Exception as error:  # noqa: BLE001  # see above
        _log.warning("how a job came out could not be noted", job=job, reason=described(error))


def note_apart(open_warehouse: Callable[[], Warehouse], job: Job, *, at: datetime, failure: str = "") -> None:
    """The same on a connection of its own, for a job that holds none that may write. Raises nothing."""
    try:
        with closing(open_warehouse()) as warehouse:
            note(warehouse, job, at=at, failure=failure)
    except Exception as error:  # noqa: BLE001  # as above
        _log.warning("how a job came out could not be noted", job=job, reason=described(error))


def latest(warehouse: Warehouse) -> dict[Job, Run] | None:
    """The last run of each job that has run; None where runs are not noted yet, for the warehouse is of the version before.
    Raises `WarehouseUnavailable`, `WarehouseRefused`."""
    try:
        rows = warehouse.query_rows("SELECT job, toUnixTimestamp64Milli(at), failure FROM job_runs FINAL")
    except WarehouseRefused as error:
        if error.code != _NO_SUCH_TABLE:
            raise
        return None
    return {job: Run(datetime.fromtimestamp(at_ms / 1000, UTC), failure) for job, at_ms, failure in rows}
