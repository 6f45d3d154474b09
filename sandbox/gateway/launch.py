"""Starts the gateway as a process of its own on a folder, with a free port and a kept password unless told otherwise."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from sandbox.children import Child, Process, http_answers, launch, wait_until_ready
from sandbox.gateway.requests import USER
from sandbox.ports import LOOPBACK, free_port
from sandbox.servers.base import ServerPlan, kept_password, private_folder

_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class RunningGateway:
    """A gateway that answers. Its plan is kept, so that `restart` brings it back on the same folder, port and password."""

    host: str
    port: int
    password: str = field(repr=False)
    process: Child
    plan: ServerPlan = field(repr=False)
    user: str = USER

    def stop(self) -> bool:
        """Ask it to close its engine and end; True when asking was enough."""
        return self.process.stop()

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self.process.kill()

    def restart(self) -> None:
        """Start it again, stopping it if it still runs, and wait until it answers."""
        self.process.stop()
        self.process = _run(self.plan)


def plan_gateway(folder: Path, *, port: int | None = None, password: str | None = None) -> ServerPlan:
    """What to run, for `start_gateway` or a supervisor; tables are kept in `folder/data`."""
    folder = private_folder(folder)
    port = free_port() if port is None else port
    password = kept_password(folder, password)
    return ServerPlan(
        name="clickhouse",
        port=port,
        folder=folder,
        password=password,
        url=f"http://{USER}:{quote(password, safe='')}@{LOOPBACK}:{port}",
        process=Process(
            name="clickhouse",
            argv=[
                sys.executable,
                "-m",
                "sandbox.gateway",
                "--data",
                str(folder / "data"),
                "--port",
                str(port),
                "--password-file",
                str(folder / "password"),
            ],
            is_ready=http_answers(f"http://{LOOPBACK}:{port}/ping"),
            env={"PYTHONPATH": _import_path(), "PYTHONUNBUFFERED": "1"},
            ports=[port],
            advice=f"its tables are in {folder / 'data'}: check that the disk has room and that no other gateway has them open",
        ),
    )


def start_gateway(folder: Path, *, port: int | None = None, password: str | None = None) -> RunningGateway:
    """Start it and wait until it answers. Raises `ProcessDied`, `ProcessNotReady`, `PortTaken`."""
    plan = plan_gateway(folder, port=port, password=password)
    return RunningGateway(host=LOOPBACK, port=plan.port, password=plan.password, process=_run(plan), plan=plan)


def _run(plan: ServerPlan) -> Child:
    child = launch(plan.process, plan.folder)
    try:
        wait_until_ready(child)
    except BaseException:  # Ctrl-C while it starts must not leave it behind
        child.kill()
        raise
    return child


def _import_path() -> str:
    """Where this package is found also when it is not installed, before what the caller has."""
    return os.pathsep.join(filter(None, [str(_REPOSITORY), os.environ.get("PYTHONPATH", "")]))
