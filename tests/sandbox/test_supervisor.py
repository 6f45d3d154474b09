"""The supervisor with real child processes: order, reasons, endings, and no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.children import Process, http_answers, log_shows, tcp_answers
from sandbox.errors import FolderInUse, PortTaken, ProcessDied, ProcessNotReady, ServerMissing
from sandbox.ports import free_port, is_listening
from sandbox.supervisor import Supervisor

_NAP = "import time; print('up', flush=True); time.sleep(60)"
_STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + _NAP
_PARENT = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print(p.pid, 'up', flush=True); p.wait()"


def python(name: str, code: str, *, stop_within_seconds: float = 10.0, ready_within_seconds: float = 10.0) -> Process:
    return Process(
        name=name,
        argv=[sys.executable, "-c", code],
        is_ready=log_shows("up"),
        stop_within_seconds=stop_within_seconds,
        ready_within_seconds=ready_within_seconds,
        advice="read the manual",
    )


def runs(pid: int) -> bool:
    """Whether the process exists and is more than a zombie nobody has collected yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def eventually(condition: Callable[[], bool], *, within_seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + within_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_processes_start_in_order_and_stop_in_reverse(tmp_path: Path):
    lines: list[str] = []
    with Supervisor(tmp_path, say=lines.append) as supervisor:
        children = [supervisor.start(python(name, _NAP)) for name in ("first", "second")]

    assert [line.split()[:2] for line in lines] == [
        ["ready", "first"],
        ["ready", "second"],
        ["stopped", "second"],
        ["stopped", "first"],
    ]
    assert [child.exit_status for child in children] == [-signal.SIGTERM] * 2


def test_a_process_gets_its_environment_beside_ours_and_its_log_is_private(tmp_path: Path):
    process = Process(
        name="envious",
        argv=[sys.executable, "-c", f"import os; print(os.environ['SECRET'], os.environ['PATH']); {_NAP}"],
        is_ready=log_shows("up"),
        env={"SECRET": "s3cret"},
    )
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(process)

    assert child.log_path == tmp_path / "logs" / "envious.log"
    assert child.log_tail(lines=2).splitlines()[0] == f"s3cret {os.environ['PATH']}"
    assert child.log_path.stat().st_mode & 0o077 == 0
    assert "s3cret" not in repr(process)


def test_the_log_of_the_run_before_is_kept(tmp_path: Path):
    for word in ("old", "new"):
        with Supervisor(tmp_path) as supervisor:
            supervisor.start(python("worker", f"print('{word}'); {_NAP}"))

    assert (tmp_path / "logs" / "worker.log").read_text().startswith("new")
    assert (tmp_path / "logs" / "worker.log.1").read_text().startswith("old")


def test_a_process_that_dies_while_starting_says_why(tmp_path: Path):
    with Supervisor(tmp_path) as supervisor, pytest.raises(ProcessDied) as caught:
        supervisor.start(python("fragile", "import sys; print('no disk'); sys.exit(3)"))

    assert caught.value.exit_status == 3
    assert "fragile: ended with exit status 3 while starting" in str(caught.value)
    assert str(caught.value).endswith("no disk")
    assert caught.value.hint == "read the manual"


def test_a_process_that_never_gets_ready_is_stopped(tmp_path: Path):
    with Supervisor(tmp_path) as supervisor, pytest.raises(ProcessNotReady, match=r"idle: not ready within 0.3 s"):
        supervisor.start(python("idle", "import time; time.sleep(60)", ready_within_seconds=0.3))


def test_when_one_dies_all_are_stopped_and_its_last_words_are_told(tmp_path: Path):
    lines: list[str] = []
    with Supervisor(tmp_path, say=lines.append) as supervisor:
        survivor = supervisor.start(python("survivor", _NAP))
        mortal = supervisor.start(python("mortal", f"print('last words'); {_NAP}"))
        os.kill(mortal.pid, signal.SIGKILL)
        with pytest.raises(ProcessDied, match="mortal: killed by SIGKILL while it should run") as caught:
            supervisor.watch()

    assert "last words" in caught.value.log_tail
    assert survivor.exit_status == -signal.SIGTERM
    assert lines[-1] == "  stopped survivor"


def test_a_process_that_died_is_noticed_before_the_next_is_started(tmp_path: Path):
    with Supervisor(tmp_path) as supervisor:
        brief = supervisor.start(python("brief", _NAP))
        os.kill(brief.pid, signal.SIGTERM)
        assert eventually(lambda: brief.exit_status is not None)
        with pytest.raises(ProcessDied, match="brief: killed by SIGTERM"):
            supervisor.start(python("next", _NAP))


def test_a_process_deaf_to_sigterm_is_killed_in_the_end(tmp_path: Path):
    lines: list[str] = []
    with Supervisor(tmp_path, say=lines.append) as supervisor:
        child = supervisor.start(python("deaf", _STUBBORN, stop_within_seconds=0.2))

    assert child.exit_status == -signal.SIGKILL
    assert lines[-1] == "  killed  deaf"


def test_what_a_process_has_started_ends_with_it(tmp_path: Path):
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(python("parent", _PARENT))
        grandchild = int(child.log_tail().split()[0])
        assert runs(grandchild)

    assert eventually(lambda: not runs(grandchild))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_watch_in_peace_and_the_handlers_are_given_back(number: signal.Signals, tmp_path: Path):
    before = signal.getsignal(number)
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start(python("worker", _NAP))
        supervisor.watch(until=lambda: os.kill(os.getpid(), number) is not None)

    assert child.exit_status == -signal.SIGTERM
    assert signal.getsignal(number) == before


def test_a_second_signal_while_stopping_kills_at_once(tmp_path: Path):
    def signal_when_stopping(line: str) -> None:
        if line.endswith("last"):  # the last started has been stopped; the deaf one is next
            os.kill(os.getpid(), signal.SIGINT)

    with Supervisor(tmp_path, say=signal_when_stopping) as supervisor:
        child = supervisor.start(python("deaf", _STUBBORN, stop_within_seconds=600))
        supervisor.start(Process(name="last", argv=[sys.executable, "-c", _NAP], is_ready=log_shows("up")))

    assert child.exit_status == -signal.SIGKILL


def test_a_second_supervisor_on_the_folder_is_refused_and_a_later_one_is_not(tmp_path: Path):
    with (
        Supervisor(tmp_path),
        pytest.raises(FolderInUse, match=rf"process {os.getpid()}\)") as caught,
        Supervisor(tmp_path),
    ):
        pass

    assert f"kill {os.getpid()}" in caught.value.hint
    with Supervisor(tmp_path):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills the children of a killed process")
def test_kill_9_of_the_supervisor_leaves_no_orphan_and_no_lock(tmp_path: Path):
    port = free_port()
    code = f"""
import sys, time
from pathlib import Path
from sandbox.children import Process, log_shows, tcp_answers
from sandbox.servers import plan_valkey
from sandbox.supervisor import Supervisor
with Supervisor(Path({str(tmp_path)!r})) as supervisor:
    plan = plan_valkey(Path({str(tmp_path)!r}) / "valkey", port={port})
    deaf = Process(name="deaf", argv=[sys.executable, "-c", {_STUBBORN!r}], is_ready=log_shows("up"))
    print(supervisor.start(plan.process).pid, supervisor.start(deaf).pid, "started", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        told = next(line for line in victim.stdout if line.rstrip().endswith("started"))
        pids = [int(word) for word in told.split()[:2]]
        assert all(runs(pid) for pid in pids)
        victim.kill()

    assert eventually(lambda: not any(runs(pid) for pid in pids))
    assert eventually(lambda: not is_listening(port))
    with Supervisor(tmp_path):
        pass


def test_readiness_by_tcp_and_by_http(tmp_path: Path):
    port = free_port()
    serve = "import http.server, sys; http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()"
    argv = [sys.executable, "-c", serve, str(port)]
    with Supervisor(tmp_path) as supervisor:
        web = Process(name="web", argv=argv, is_ready=tcp_answers(port), ports=[port], cwd=tmp_path)
        child = supervisor.start(web)
        assert http_answers(f"http://127.0.0.1:{port}/")(child)
        assert not http_answers(f"http://127.0.0.1:{port}/missing")(child)
        with pytest.raises(PortTaken, match=str(port)):
            supervisor.start(web)


def test_a_program_that_does_not_exist_is_named(tmp_path: Path):
    with Supervisor(tmp_path) as supervisor, pytest.raises(ServerMissing, match="no-such-program"):
        supervisor.start(Process(name="ghost", argv=["no-such-program"], is_ready=log_shows("up")))
