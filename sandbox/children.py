"""Child processes that log to a file, say when they are ready, and never outlive the process that started them.

Refuses to call a process ready that has died, or whose port somebody else had before.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from sandbox.errors import PortTaken, ProcessDied, ProcessNotReady, ServerMissing
from sandbox.ports import can_bind, is_listening

_LEASH = Path(__file__).with_name("leash.py")
_POLL_SECONDS = 0.02
_TAIL_BYTES = 16_384
# A predecessor that was killed may hold its port for a moment longer.
_PORT_WAIT_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Process:
    """What to run and how to tell that it is ready.

    `env` is added to ours, and keeps secrets out of the process list. `ports` are those it will listen on: they must be free.
    `advice` is said when it fails to start.
    """

    name: str
    argv: Sequence[str]
    is_ready: Callable[[Child], bool]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path | None = None
    ports: Sequence[int] = ()
    ready_within_seconds: float = 30.0
    stop_within_seconds: float = 10.0
    advice: str = ""


class Child:
    """A process that was started. Its output, standard and error, goes to `log_path`; that of the run before to `….1`."""

    def __init__(self, process: Process, popen: subprocess.Popen[bytes], log_path: Path) -> None:
        self.process = process
        self.log_path = log_path
        self._popen = popen
        self._swept = False

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self._popen.poll()

    def log_tail(self, *, lines: int = 20) -> str:
        """The last lines it wrote."""
        return tail(self.log_path, lines=lines)

    def died(self, while_doing: str) -> ProcessDied:
        """The error that tells of its end."""
        status = self.exit_status
        return ProcessDied(
            f"{describe_exit(status)} {while_doing}",
            name=self.name,
            log_path=self.log_path,
            log_tail=self.log_tail(),
            exit_status=status,
            hint=self.process.advice,
        )

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself, if it still runs."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """End it at once, as `kill -9` does, with whatever it has started."""
        if not self._swept:  # once: the number of a group that is gone may be given to somebody else
            self._signal_group(signal.SIGKILL)
            self._popen.wait()
            self._swept = True

    def stop(self, *, within_seconds: float | None = None, hurry: Callable[[], bool] = lambda: False) -> bool:
        """Ask it to end, then kill what is left; True when asking was enough. `hurry` cuts the wait short."""
        limit = self.process.stop_within_seconds if within_seconds is None else within_seconds
        deadline = time.monotonic() + limit
        self.send_signal(signal.SIGTERM)
        while self.exit_status is None and time.monotonic() < deadline and not hurry():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout=min(0.1, limit))
        graceful = self.exit_status is not None
        self.kill()
        return graceful

    def _signal_group(self, number: signal.Signals) -> None:
        # The child leads a session of its own, so its group holds what it has started, and not us.
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
            os.killpg(self.pid, number)


def launch(process: Process, log_folder: Path) -> Child:
    """Start it and return at once; `wait_until_ready` is the next step."""
    program = shutil.which(process.argv[0])
    if program is None:
        raise ServerMissing(f"{process.name}: there is no program {process.argv[0]}", hint=process.advice)
    _claim_ports(process)
    log_folder.mkdir(parents=True, exist_ok=True)
    log_path = log_folder / f"{process.name}.log"
    if log_path.exists():
        log_path.replace(log_path.with_suffix(".log.1"))
    argv = [program, *process.argv[1:]]
    if sys.platform == "linux":
        argv = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), *argv]
    return Child(process, _spawner(os.getpid()).spawn(process, argv, log_path), log_path)


def wait_until_ready(child: Child) -> float:
    """Seconds it took. Raises `ProcessDied` or, having stopped it, `ProcessNotReady`."""
    started = time.monotonic()
    limit = child.process.ready_within_seconds
    while time.monotonic() - started < limit:
        if child.exit_status is not None:
            raise child.died("while starting")
        if child.process.is_ready(child):
            return time.monotonic() - started
        time.sleep(_POLL_SECONDS)
    child.stop(within_seconds=1.0)
    raise ProcessNotReady(
        f"not ready within {limit:g} s, stopped",
        name=child.name,
        log_path=child.log_path,
        log_tail=child.log_tail(),
        hint=child.process.advice,
    )


def tcp_answers(port: int, *, host: str = "127.0.0.1") -> Callable[[Child], bool]:
    """Ready when it accepts connections."""
    return lambda _child: is_listening(port, host=host)


def http_answers(url: str, *, timeout_seconds: float = 2.0) -> Callable[[Child], bool]:
    """Ready when GET `url` answers 200."""

    def check(_child: Child) -> bool:
        try:
            with urllib.request.urlopen(url, timeout=timeout_seconds) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, http.client.HTTPException, OSError):
            return False

    return check


def log_shows(text: str) -> Callable[[Child], bool]:
    """Ready when it has written `text`."""
    wanted = text.encode()
    return lambda child: wanted in child.log_path.read_bytes()


def tail(path: Path, *, lines: int = 20) -> str:
    """The last lines of a file, whatever bytes it holds; empty when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def describe_exit(status: int | None) -> str:
    """A sentence for an exit status of `subprocess`."""
    if status is None:
        return "still running"
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _claim_ports(process: Process) -> None:
    deadline = time.monotonic() + _PORT_WAIT_SECONDS
    for port in process.ports:
        while not can_bind(port):
            if time.monotonic() > deadline:
                raise PortTaken(
                    f"{process.name} is to listen on port {port}, but something else does",
                    hint=f"end it (find it with: lsof -i :{port}), or choose another port",
                )
            time.sleep(_POLL_SECONDS)


class _Spawner:
    """Starts every child from one thread that lives as long as we do.

    The kernel counts as "the parent" of the leash the *thread* that forked: started from a worker thread,
    a server would be killed when that thread ends.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Process, list[str], Path, Future[subprocess.Popen[bytes]]]] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._run, name="spawner", daemon=True).start()

    def spawn(self, process: Process, argv: list[str], log_path: Path) -> subprocess.Popen[bytes]:
        """Start `argv` in a session of its own: Ctrl-C in the terminal then reaches us alone, and we choose the order."""
        future: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((process, argv, log_path, future))
        return future.result()

    def _run(self) -> None:
        while True:
            process, argv, log_path, future = self._jobs.get()
            try:
                future.set_result(_popen(process, argv, log_path))
            except BaseException as error:  # noqa: BLE001  handed to the caller, who waits for it
                future.set_exception(error)


def _popen(process: Process, argv: list[str], log_path: Path) -> subprocess.Popen[bytes]:
    with open(os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600), "wb") as log:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **process.env},
            cwd=process.cwd,
            start_new_session=True,
        )


@lru_cache(maxsize=1)
def _spawner(_pid: int) -> _Spawner:
    """One a process; the id is the key because a forked copy of us inherits this cache but not the thread."""
    return _Spawner()
