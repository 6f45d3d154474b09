"""Runs the processes of a demo as one: started in order, each awaited, all stopped when one dies or we are told to end.

Refuses to restart anything silently, to leave orphans, and to run twice on one data folder.

Orphans: the kernel kills every child when this process ends, even by `kill -9` (see `sandbox/leash.py`; each child's own
children go the same way if they were started through `sandbox.children`). A process group alone would not do: nobody is
left to signal it. Elsewhere than on Linux the kernel offers no such thing, and only a `kill -9` of the supervisor leaves
children behind; their ports are then found taken, by name, at the next start.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any

import click

from sandbox.children import Child, Process, launch, wait_until_ready
from sandbox.errors import FolderInUse

_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WATCH_SECONDS = 0.1


class Supervisor:
    """Use as a context manager: entering locks the folder, leaving stops everything in reverse order.

    In the main thread SIGTERM and SIGHUP raise `KeyboardInterrupt`, as Ctrl-C does, so that all three interrupt whatever is
    going on, and a second one while stopping kills at once. Logs go to `folder/logs`.
    """

    def __init__(self, folder: Path, *, say: Callable[[str], None] = click.echo) -> None:
        self.folder = folder
        self._say = say
        self._children: list[Child] = []
        self._lock: IO[str] | None = None
        self._handlers: dict[signal.Signals, Any] = {}
        self._hurry = False

    def __enter__(self) -> Supervisor:
        self._lock = _lock(self.folder)
        self._handle(_interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._handlers.clear()
            if self._lock is not None:
                self._lock.close()

    @property
    def log_folder(self) -> Path:
        """One file a process, `NAME.log`; the run before is `NAME.log.1`."""
        return self.folder / "logs"

    def start(self, process: Process) -> Child:
        """Start it, wait until it is ready, and say how long it took. Anything that died meanwhile is reported first."""
        self.check()
        child = launch(process, self.log_folder)
        self._children.append(child)
        seconds = wait_until_ready(child)
        self._say(f"  ready  {process.name:<24} {seconds:5.1f} s")
        self.check()
        return child

    def check(self) -> None:
        """Raise `ProcessDied` when a child has ended that was not told to; leaving the `with` block then stops the rest."""
        for child in self._children:
            if child.exit_status is not None:
                raise child.died("while it should run")

    def watch(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Return on Ctrl-C, SIGTERM or `until`; everything is stopped by then. Raise `ProcessDied` when a child ends."""
        try:
            while not until():
                self.check()
                time.sleep(_WATCH_SECONDS)
        except KeyboardInterrupt:
            self._say("")
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop what still runs, last started first: asked, then killed. Stopping twice is fine."""
        self._handle(self._hurry_up)
        while self._children:
            child = self._children[-1]
            running = child.exit_status is None
            graceful = child.stop(hurry=lambda: self._hurry)
            self._children.pop()
            if running:
                self._say(f"  {'stopped' if graceful else 'killed '} {child.name}")

    def _handle(self, handler: Callable[[int, FrameType | None], None]) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # Python lets only the main thread set handlers
        for number in _ENDING_SIGNALS:
            previous = signal.signal(number, handler)
            self._handlers.setdefault(number, previous)

    def _hurry_up(self, _number: int, _frame: FrameType | None) -> None:
        self._hurry = True


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _lock(folder: Path) -> IO[str]:
    """Held through an open file, so that it ends with us however we end; children do not inherit it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "supervisor.lock"
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115  held open as long as the lock
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise FolderInUse(
            f"Heliograph already runs on the folder {folder} (process {holder})",
            hint=f"end that one first (kill {holder}), or choose another folder",
        ) from None
    with contextlib.suppress(OSError):  # the note of who holds it helps a reader; the lock is what counts
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
    return file
