"""Looks for numbers and codes in everything that a run left behind: every file, and every table of the warehouse.

Numbers are looked for as they were used: in E.164, without the plus. What is found is named by place, never repeated.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from core import warehouse as door
from core.settings.servers import Warehouse as WarehouseSettings

_SHORT = 10
"""Up to so many digits a secret must stand alone: among thousands of codes one is sure to be part of some longer figure."""
_DIGITS = re.compile(rb"\d{7,}")
CHUNK_BYTES = 8 * 1024 * 1024
_OVERLAP_BYTES = 64


class Secrets:
    """Numbers and codes, ready to be looked for."""

    def __init__(self, secrets: Collection[str]) -> None:
        self._alone = {secret.encode() for secret in secrets if len(secret) <= _SHORT}
        self._by_length: defaultdict[int, set[bytes]] = defaultdict(set)
        for secret in secrets:
            if len(secret) > _SHORT:
                self._by_length[len(secret)].add(secret.encode())

    def are_in(self, content: bytes) -> bool:
        """Whether one of them stands there."""
        return any(self._are_in_run(run[0]) for run in _DIGITS.finditer(content))

    def _are_in_run(self, run: bytes) -> bool:
        return run in self._alone or any(
            run[start : start + length] in known
            for length, known in self._by_length.items()
            for start in range(len(run) - length + 1)
        )


def leaks(folder: Path, secrets: Secrets, *, passed_over: Iterable[Path] = ()) -> list[str]:
    """The files below `folder` that hold a secret, by their place in it."""
    skipped = set(passed_over)
    return sorted(
        str(path.relative_to(folder))
        for path in _files(folder)
        if path.is_file() and path not in skipped and any(map(secrets.are_in, _chunks(path)))
    )


def leaks_in_warehouse(settings: WarehouseSettings, secrets: Secrets) -> list[str]:
    """The tables of the warehouse that hold a secret: its files are compressed, so the rows are looked at."""
    warehouse = door.connect(settings)
    try:
        query = "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'"
        names = [row[0] for row in warehouse.query_rows(query, {"database": settings.database})]
        return [
            f"table {name} of the warehouse"
            for name in names
            if secrets.are_in(repr(warehouse.query_rows(f"SELECT * FROM {name}")).encode())
        ]
    finally:
        warehouse.close()


def _files(folder: Path) -> Iterator[Path]:
    """All below it. `Path.rglob` breaks off where a folder goes meanwhile, as those of ClickHouse do when parts merge."""
    for place, _folders, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def _chunks(path: Path) -> Iterator[bytes]:
    """The content in parts that overlap, so that nothing is cut in two. A file that is gone has none."""
    try:
        with path.open("rb") as file:
            tail = b""
            while part := file.read(CHUNK_BYTES):
                yield tail + part
                tail = part[-_OVERLAP_BYTES:]
    except FileNotFoundError:
        return
