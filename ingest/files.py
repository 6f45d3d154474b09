"""From files: CSV, JSON lines and Parquet, plain or gzip, of events or of somebody's export, in batches, with progress.

A file that cannot be opened or is not what its name says is refused before anything is stored. A bad row goes to the
dead letters with its line; its neighbours are stored.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import BadInput, EventUnreadable
from core.events import UNREADABLE, AnyEvent, decode, from_row
from core.redact import redact
from ingest.mapping import Mapper
from ingest.sink import Sink, Stored, Unreadable

BATCH_ROWS = 20_000

Progress = Callable[[int, int], None]
"""Called with the bytes read so far and the bytes there are."""


@dataclass(frozen=True)
class Line:
    """One row of a file: where it stands, its bytes for the dead letters, and its fields once read."""

    place: str
    raw: bytes
    row: Mapping[str, Any] | None = None
    fault: str = ""


@dataclass
class FileTotals:
    """What became of a file."""

    rows: int = 0
    events: int = 0
    dead_letters: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


@dataclass
class _Batch:
    events: list[AnyEvent] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    rows: int = 0


def ingest_file(
    path: Path, sink: Sink, *, mapper: Mapper | None = None, progress: Progress | None = None
) -> FileTotals:
    """Store every row of `path`. Raises `BadInput` when the file is not readable as its kind.

    Parsing one batch overlaps with inserting the one before.
    """
    lines = _open(path, progress or (lambda _done, _total: None))
    totals = FileTotals()
    with ThreadPoolExecutor(1, thread_name_prefix="insert") as inserter:
        under_way: Future[Stored] | None = None
        while batch := _read_batch(lines, mapper):
            _count(totals, under_way)
            totals.rows += batch.rows
            for item in batch.unreadable:
                totals.reasons[item.reason] = totals.reasons.get(item.reason, 0) + 1
            under_way = inserter.submit(sink.store, f"file {path.name}", batch.events, batch.unreadable)
        _count(totals, under_way)
    return totals


def _count(totals: FileTotals, under_way: Future[Stored] | None) -> None:
    if under_way is not None:
        stored = under_way.result()
        totals.events += stored.events
        totals.dead_letters += stored.dead_letters


def _read_batch(lines: Iterator[Line], mapper: Mapper | None) -> _Batch | None:
    batch = _Batch()
    for line in islice(lines, BATCH_ROWS):
        batch.rows += 1
        try:
            batch.events += _events(line, mapper)
        except BadInput as error:
            batch.unreadable.append(Unreadable(line.place, str(error), line.raw))
    return batch if batch.rows else None


def _events(line: Line, mapper: Mapper | None) -> list[AnyEvent]:
    if line.fault:
        raise EventUnreadable(line.fault)
    if mapper is not None:
        return list(mapper.events(line.row if line.row is not None else _json_object(line.raw)))
    return [decode(line.raw) if line.row is None else from_row(line.row)]


def _json_object(raw: bytes) -> Mapping[str, Any]:
    try:
        row = msgspec.json.decode(raw)
    except UNREADABLE as error:
        raise EventUnreadable(redact(str(error))) from None
    if not isinstance(row, dict):
        raise EventUnreadable("a line is a JSON object")
    return row


def _open(path: Path, progress: Progress) -> Iterator[Line]:
    name = path.name.lower().removesuffix(".gz")
    readers = {".jsonl": _json_lines, ".ndjson": _json_lines, ".csv": _csv_lines, ".parquet": _parquet_lines}
    reader = readers.get(Path(name).suffix)
    if reader is None:
        raise BadInput(f"{path.name}: the name must end in one of {', '.join(readers)} (or with .gz behind it)")
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    return reader(path, file, progress)


def _json_lines(path: Path, file: BinaryIO, progress: Progress) -> Iterator[Line]:
    with file:
        for number, raw in enumerate(_counted(path, file, progress), start=1):
            if raw.strip():
                yield Line(str(number), raw.rstrip(b"\r\n"))


def _csv_lines(path: Path, file: BinaryIO, progress: Progress) -> Iterator[Line]:
    with file:
        text = (
            raw.decode("utf-8-sig" if first else "utf-8", "replace")
            for first, raw in _with_first(_counted(path, file, progress))
        )
        reader = csv.reader(text)
        try:
            header = next(reader, None)
            if not header:
                raise BadInput(f"{path.name}: the file is empty; its first line names the columns")
            for values in filter(None, reader):  # nothing stands on an empty line
                yield _csv_line(header, values, str(reader.line_num))
        except csv.Error as error:
            yield Line(str(reader.line_num), b"", fault=f"not CSV from here on: {error}")


def _csv_line(header: list[str], values: list[str], place: str) -> Line:
    raw = ",".join(values).encode()
    if len(values) != len(header):
        return Line(place, raw, fault=f"{len(values)} columns where the header names {len(header)}")
    return Line(place, raw, dict(zip(header, values, strict=True)))


def _parquet_lines(path: Path, file: BinaryIO, progress: Progress) -> Iterator[Line]:
    with file:
        try:
            parquet = pq.ParquetFile(_unpacked(path, file))
        except (pa.ArrowInvalid, OSError):
            raise BadInput(f"{path.name}: not a Parquet file") from None
        size, total, number = path.stat().st_size, max(parquet.metadata.num_rows, 1), 0
        for batch in _batches(path, parquet):
            for row in batch.to_pylist():
                number += 1
                yield Line(str(number), repr(row).encode(), row)
            progress(size * number // total, size)


def _batches(path: Path, parquet: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    try:
        yield from parquet.iter_batches(BATCH_ROWS)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise BadInput(f"{path.name}: cannot be read to its end: {redact(str(error))}") from None


def _unpacked(path: Path, file: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", gzip.GzipFile(fileobj=file)) if path.name.lower().endswith(".gz") else file


def _counted(path: Path, file: BinaryIO, progress: Progress) -> Iterator[bytes]:
    size = path.stat().st_size
    try:
        for number, raw in enumerate(_unpacked(path, file)):
            if number % BATCH_ROWS == 0:
                progress(file.tell(), size)
            yield raw
    except (OSError, EOFError) as error:
        raise BadInput(f"{path.name}: cannot be read to its end: {error}") from None
    progress(size, size)


def _with_first(lines: Iterator[bytes]) -> Iterator[tuple[bool, bytes]]:
    for number, line in enumerate(lines):
        yield number == 0, line
