"""A drill as files: events in Parquet, in the schema that ingest and replay read, and the labels as JSON beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.events import DIMENSIONS
from sandbox.drills.drill import Drill
from sandbox.history.lines import RECEIPTS, mixed, uuid7_texts
from sandbox.world.traffic import OWN_CODES_APP

ROWS_A_GROUP = 200_000

Progress = Callable[[int, int], None]


def write_drill(drill: Drill, folder: Path, *, progress: Progress) -> list[Path]:
    """`send.parquet`, `receipt.parquet`, `verify.parquet` and `labels.json`; files of that name are replaced.

    Of a receipt that came twice one is written, and of checks the first and the right one: what a warehouse that has read
    the files counts is what `drill.attempts` holds. Raises `OSError` when the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = _Told(drill)
    makers = {"send": told.sends, "receipt": told.receipts, "verify": told.verifies}
    pieces = [drill.attempts[row : row + ROWS_A_GROUP] for row in range(0, len(drill.attempts), ROWS_A_GROUP)]
    done, total = 0, len(makers) * len(pieces)
    written: list[Path] = []
    for kind, make in makers.items():
        written.append(folder / f"{kind}.parquet")
        with pq.ParquetWriter(written[-1], _schema(make(pieces[0])), compression="zstd") as writer:
            for piece in pieces:
                writer.write_table(pa.Table.from_pandas(make(piece), schema=writer.schema, preserve_index=False))
                done += 1
                progress(done, total)
    labels = folder / "labels.json"
    labels.write_bytes(msgspec.json.format(msgspec.json.encode(drill.labels)))
    return [*written, labels]


def _schema(frame: pd.DataFrame) -> pa.Schema:
    return pa.Schema.from_pandas(frame, preserve_index=False)


class _Told:
    """Makes events of attempts; what belongs to a whole verification is looked up by the number of its request."""

    def __init__(self, drill: Drill) -> None:
        self._seed = drill.seed
        attempts = drill.attempts
        size = int(attempts.request.max()) + 1 if len(attempts) else 0
        first, entered = attempts[attempts.attempt == 1], attempts[attempts.filled_at.notna()]
        self._asked = _by_request(first, "submitted_at", size)
        self._first_check = _by_request(first, "first_check_at", size)
        self._approved = ~np.isnat(_by_request(first, "approved_at", size))
        self._filled = _by_request(entered, "filled_at", size)

    def sends(self, rows: pd.DataFrame) -> pd.DataFrame:
        """One a row."""
        told = self._common(rows, "send", rows.submitted_at)
        words = {"category": "category", "cause": "cause", "outcome": "outcome"}
        words |= {"error_class": "outcome_class", "error_code": "outcome_code"}
        for name, column in words.items():
            told[name] = rows[column].astype("str")
        phones = rows.phone_hash.to_numpy()
        told["phone_hash"] = [f"{one:016x}{two:016x}" for one, two in zip(phones, mixed(phones, 1), strict=True)]
        return told

    def receipts(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The interim one and the final one."""
        final = rows.delivered_at.fillna(rows.failed_at)
        interim = rows.receipt_at.notna() & (final.isna() | (rows.receipt_at < final))
        parts = [
            self._receipts(rows[interim], "pending", "receipt_at"),
            self._receipts(rows[rows.delivered_at.notna()], "delivered", "delivered_at"),
            self._receipts(rows[rows.failed_at.notna()], "failed", "failed_at"),
        ]
        told: pd.DataFrame = pd.concat(parts, ignore_index=True)
        return told.sort_values("at", kind="stable")

    def verifies(self, rows: pd.DataFrame) -> pd.DataFrame:
        """A first check that was wrong, and the right one, which may come too late."""
        own = (rows.app == OWN_CODES_APP).to_numpy()
        first, filled = self._first_check[rows.request], self._filled[rows.request]
        wrong = rows.first_check_at.notna().to_numpy() & (first != filled)
        right = rows.filled_at.notna().to_numpy()
        told = self._common(rows, "verify", rows.filled_at)
        told["check"] = np.where(own | (first == filled), 1, 2)
        told["result"] = np.where(self._approved[rows.request], "approved", "expired")
        told["source"] = np.where(own, "conversion", "check")
        vain = self._common(rows, "verify", rows.first_check_at)
        vain = vain.assign(attempt=0, provider="", check=1, result="wrong", source="check")
        both: pd.DataFrame = pd.concat([vain[wrong], told[right]], ignore_index=True)
        return both.sort_values("at", kind="stable")

    def _receipts(self, rows: pd.DataFrame, status: str, at: str) -> pd.DataFrame:
        told = self._common(rows, "receipt", rows[at]).drop(columns=[name for name in DIMENSIONS if name != "provider"])
        failed = status == "failed"
        told["status"] = status
        told["error_class"] = rows.failure_class.astype("str") if failed else ""
        words = [
            RECEIPTS[provider].get(name if failed else status, ("", ""))
            for provider, name in zip(rows.provider, rows.failure_class, strict=True)
        ]
        told["raw_status"], told["raw_code"] = [word for word, _ in words], [code for _, code in words]
        return told

    def _common(self, rows: pd.DataFrame, kind: str, at: pd.Series[Any]) -> pd.DataFrame:
        told = pd.DataFrame({"kind": kind, "at": at.dt.tz_localize("UTC")}, index=rows.index)
        request = rows.request.to_numpy()
        noise = mixed(request.astype(np.uint64), self._seed)
        milliseconds = self._asked[request].astype(np.int64).astype(np.uint64)
        told["request_id"] = uuid7_texts(milliseconds, noise & np.uint64(0xFFF), noise >> np.uint64(2))
        told["attempt"] = rows.attempt.astype("int64")
        for name in DIMENSIONS:
            told[name] = rows[name].astype("str")
        return told


def _by_request(rows: pd.DataFrame, column: str, size: int) -> NDArray[np.datetime64]:
    found = np.full(size, np.datetime64("NaT"), dtype="datetime64[ms]")
    found[rows.request.to_numpy()] = rows[column].to_numpy()
    return found
