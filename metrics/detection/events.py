"""Files of events as attempts in columns, for a replay without a warehouse: JSON lines, CSV or Parquet, plain or with .gz.

Rows are events as docs/events.md has them, or attempts in the columns of the warehouse table. Of two events of the same
fact one counts; of two final receipts the earlier.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.json as arrow_json
import pyarrow.parquet as arrow_parquet

from core.errors import BadInput
from metrics.detection.leaves import DIMENSIONS

_KEY = ["request_id", "attempt"]
_SEND = {"at": "submitted_at", "error_class": "outcome_class", "error_code": "outcome_code"}


def attempts_of(paths: Sequence[Path]) -> pd.DataFrame:
    """The attempts that the files tell of. Raises `BadInput` for a file that is not what its name says."""
    frames = [_read(path) for path in paths]
    whole = [frame for frame in frames if "submitted_at" in frame and "outcome" in frame]
    events = [frame for frame in frames if "kind" in frame]
    if len(whole) + len(events) < len(frames):
        raise BadInput(
            "rows need the fields of docs/events.md (`kind` among them), or the columns of the table attempts",
            hint="load the export of a provider with `heliograph ingest --mapping`, then replay from the warehouse",
        )
    told = [_attempts(pd.concat(events, ignore_index=True))] if events else []
    return pd.concat([*whole, *told], ignore_index=True)


def _attempts(events: pd.DataFrame) -> pd.DataFrame:
    for name in (
        "attempt",
        "at",
        "request_id",
        "outcome",
        "status",
        "result",
        "check",
        "source",
        "error_class",
        "raw_code",
    ):
        if name not in events:
            events[name] = pd.NA
    events["at"] = pd.to_datetime(events["at"], utc=True, format="ISO8601")
    events["attempt"] = pd.to_numeric(events["attempt"]).fillna(0).astype("int64")
    events["request_id"] = events["request_id"].astype(str)
    events = events.sort_values("at", kind="stable")
    sends = events[events["kind"] == "send"].drop_duplicates(_KEY)
    columns = [
        name
        for name in (*_KEY, "at", *DIMENSIONS, "category", "outcome", "error_class", "error_code", "phone_hash")
        if name in sends
    ]
    made = sends[columns].rename(columns=_SEND).set_index(_KEY)
    receipts = events[events["kind"] == "receipt"]
    made["delivered_at"] = _first(receipts[receipts["status"] == "delivered"])["at"]
    failed = _first(receipts[receipts["status"] == "failed"])
    made["failed_at"] = failed["at"]
    made["failure_class"], made["failure_code"] = failed["error_class"], failed["raw_code"]
    checks = events[events["kind"] == "verify"]
    made["filled_at"] = _first(checks[checks["attempt"] > 0])["at"]
    ours = (checks["source"].fillna("check") == "check") & (pd.to_numeric(checks["check"]) == 1)
    first = _first(checks[ours].assign(attempt=1))
    made["first_check_at"], made["first_check_right"] = first["at"], first["result"] == "approved"
    return made.reset_index()


def _first(events: pd.DataFrame) -> pd.DataFrame:
    return events.drop_duplicates(_KEY).set_index(_KEY)


def _read(path: Path) -> pd.DataFrame:
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    readers = {".jsonl": _json, ".ndjson": _json, ".csv": _csv, ".parquet": _parquet}
    if suffix not in readers:
        raise BadInput(f"{path.name}: the name must end in one of {', '.join(readers)} (or with .gz behind it)")
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            table: pa.Table = readers[suffix](pa.PythonFile(file))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}") from error
    except pa.ArrowInvalid as error:
        raise BadInput(f"{path.name}: cannot be read as {suffix}: {error}") from error
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _json(file: pa.PythonFile) -> pa.Table:
    return arrow_json.read_json(file)


def _csv(file: pa.PythonFile) -> pa.Table:
    return arrow_csv.read_csv(file)


def _parquet(file: pa.PythonFile) -> pa.Table:
    return arrow_parquet.read_table(file)
