"""Who does the work of every minute: of all schedulers that share a folder one, the first that came, until it stops or dies."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from core.files import held

_log = structlog.get_logger(__name__)


class Lead:
    """A lock that is taken once and kept: what its holder knows of a minute is what it has learned from all before it.

    One object a process; the kernel frees the lock when that ends, however it ends.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at_work = threading.Lock()
        self._lock = ExitStack()
        self._file: os.stat_result | None = None
        self._is_ours: bool | None = None

    @contextmanager
    def at_work(self) -> Iterator[bool]:
        """Whether it is ours; while the block runs it is not given up. Raises `OSError`."""
        with self._at_work:
            yield self._is_kept() or self._take()

    def give_up(self) -> None:
        """Let another lead, once the work under way is done."""
        with self._at_work:
            self._lock.close()
            self._file = self._is_ours = None

    def _is_kept(self) -> bool:
        """Whether ours still is the file that the others try: who empties the folder takes it away."""
        try:
            return self._file is not None and os.path.samestat(self._path.stat(), self._file)
        except FileNotFoundError:
            return False

    def _take(self) -> bool:
        self._lock.close()
        self._file = None
        with ExitStack() as stack:
            is_ours = stack.enter_context(held(self._path))
            if is_ours:
                self._file, self._lock = self._path.stat(), stack.pop_all()
        if is_ours is not self._is_ours:
            _log.info("this scheduler watches" if is_ours else "another scheduler watches, this one stands by")
        self._is_ours = is_ours
        return is_ours
