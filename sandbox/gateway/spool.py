"""Data of INSERTs on its way into the engine: private files that are gone afterwards, bounded in size each and together.

The engine reports every error of an INSERT that reads a file. Pushed into it in pieces, data that fails in the last block
written (too many partitions, a view that throws) is counted as written and is not there.
Refuses a folder whose path the engine would read as a pattern: it would find no file, insert nothing, and report success.
"""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.gateway.errors import Code, refused

_PATTERN = re.compile(r"[*?{]|::")


class FolderIsPattern(SandboxError):
    """The path of the folder means something else to the engine."""


class Spool:
    """One folder of such files; what an earlier process left in it is removed. Safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        if _PATTERN.search(str(folder)):
            raise FolderIsPattern(
                f"the engine reads the path {folder} as a pattern", hint="choose a folder without *, ?, { and :: in its path"
            )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left_over in folder.iterdir():
            left_over.unlink()
        self._folder = folder
        self._lock = threading.Lock()
        self._held_bytes = 0

    @contextmanager
    def file(self, pieces: Iterator[bytes], *, limit_bytes: int, total_bytes: int) -> Iterator[Path]:
        """The pieces as a file. Raises `QueryRefused` for more than a file, or all files at once, may hold."""
        size = 0
        try:
            with self._open() as file:
                for piece in pieces:
                    size += len(piece)
                    self._hold(len(piece), total_bytes)
                    if size > limit_bytes:
                        raise refused(
                            Code.QUERY_IS_TOO_LARGE, f"The data is larger than {limit_bytes} bytes; send it in parts"
                        )
                    self._write(file, piece)
                yield Path(file.name)
        finally:
            self._hold(-size, None)
