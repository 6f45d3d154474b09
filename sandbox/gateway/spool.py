"""Data of INSERTs on its way into the engine: private files, each gone after its INSERT, bounded in size.

The engine reports every error of an INSERT that reads a file. Of data pushed into it, it reports none that comes up when
the last block is written (too many partitions, a view that throws): it counts the rows as written, and they are not there.
Refuses a folder whose path is a pattern to the engine, which would find no file and insert nothing without a word.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sandbox.errors import SandboxError
from sandbox.gateway.errors import Code, refused

_PATTERN = re.compile(r"[*?{]|::")


class FolderIsPattern(SandboxError):
    """The path of the folder means other files to the engine."""


@dataclass(frozen=True)
class SpoolLimits:
    """How much data, decompressed, one INSERT may bring, and all that run at once."""

    one_bytes: int = 1 << 30
    all_bytes: int = 4 << 30


class Spool:
    """The folder of these files. Safe to use from many threads."""

    def __init__(self, folder: Path, limits: SpoolLimits) -> None:
        if _PATTERN.search(str(folder)):
            raise FolderIsPattern(
                f"the path {folder} is a pattern to the engine", hint="choose one without any of * ? { and ::"
            )
        self._folder = folder
        self._limits = limits
        self._lock = threading.Lock()
        self._held_bytes = 0

    def open(self) -> None:
        """Make the folder, and remove what a process that was killed left in it. The caller has the folder to itself."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        for left_over in self._folder.iterdir():
            left_over.unlink()

    @contextmanager
    def file(self, pieces: Iterator[bytes]) -> Iterator[Path]:
        """The pieces as one file. Raises `QueryRefused` for more than the limits, and for a disk that does not take it."""
        sizes: list[int] = []
        try:
            with self._created() as file:
                self._fill(file, pieces, sizes)
                yield Path(file.name)
        finally:
            self._hold(-sum(sizes))

    def _created(self) -> IO[bytes]:
        with _translated():
            return tempfile.NamedTemporaryFile(dir=self._folder, buffering=0)

    def _fill(self, file: IO[bytes], pieces: Iterator[bytes], sizes: list[int]) -> None:
        for piece in pieces:
            sizes.append(len(piece))
            held_bytes = self._hold(len(piece))
            if sum(sizes) > self._limits.one_bytes:
                raise refused(
                    Code.QUERY_IS_TOO_LARGE, f"The data is larger than {self._limits.one_bytes} bytes; send it in parts"
                )
            if held_bytes > self._limits.all_bytes:
                raise refused(
                    Code.TOO_MANY_SIMULTANEOUS_QUERIES,
                    f"More than {self._limits.all_bytes} bytes of data are being inserted",
                )
            with _translated():
                _write(file, piece)

    def _hold(self, size: int) -> int:
        with self._lock:
            self._held_bytes += size
            return self._held_bytes


def _write(file: IO[bytes], piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:  # unbuffered, a write may take a part only
        rest = rest[file.write(rest) :]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise refused(Code.CANNOT_WRITE_TO_FILE_DESCRIPTOR, f"The data cannot be kept: {error.strerror}") from error
