"""A server of the sandbox: a plan (what to run, where it will answer) and the running thing. Passwords live in its folder, readable by the owner only."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from sandbox.children import Child, Process, launch, wait_until_ready
from sandbox.errors import ServerMissing

USER = "heliograph"
_SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin:/opt/homebrew/bin:/opt/homebrew/sbin"


@dataclass(frozen=True, kw_only=True)
class ServerPlan:
    """A server ready to be started, by `start` or by a `Supervisor`. The addresses carry the password."""

    name: str
    port: int
    folder: Path
    password: str = field(repr=False)
    url: str = field(repr=False)
    process: Process
    admin_url: str = field(default="", repr=False)  # only where the user of `url` may not do everything


class Server:
    """A running server. Its plan is kept, so that `restart` brings it back on the same folder, port and password."""

    def __init__(self, plan: ServerPlan, child: Child) -> None:
        self.plan = plan
        self.child = child

    @property
    def url(self) -> str:
        """Where it answers, with the password."""
        return self.plan.url

    @property
    def admin_url(self) -> str:
        """The same for the user who may do everything; `url` where there is only one user."""
        return self.plan.admin_url or self.plan.url

    @property
    def port(self) -> int:
        return self.plan.port

    @property
    def pid(self) -> int:
        return self.child.pid

    def stop(self) -> bool:
        """Ask it to end, then kill it; True when asking was enough. Stopping twice is fine."""
        return self.child.stop()

    def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        self.child.kill()

    def restart(self) -> None:
        """Start it again once it has ended, and wait until it answers."""
        self.child.stop()
        self.child = _run(self.plan)


def start(plan: ServerPlan) -> Server:
    """Start it and wait until it answers. Raises `ProcessDied`, `ProcessNotReady`, `PortTaken`."""
    return Server(plan, _run(plan))


def _run(plan: ServerPlan) -> Child:
    child = launch(plan.process, plan.folder)
    try:
        wait_until_ready(child)
    except BaseException:  # Ctrl-C while it starts must not leave it behind
        child.kill()
        raise
    return child


def packaged_program(distribution: str, program: str) -> str:
    """The path of a program that a Python package ships; else the machine's own."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == program and Path(str(file.locate())).is_file():
            return str(Path(str(file.locate())).resolve())
    return system_program(program, hint=f"install it with: pip install {distribution}")


def system_program(program: str, *, hint: str) -> str:
    """The path of a program of this machine, also where only root has it on the PATH."""
    found = shutil.which(program) or shutil.which(program, path=_SYSTEM_FOLDERS)
    if found is None:
        raise ServerMissing(f"there is no program {program} on this machine", hint=hint)
    return found


def private_folder(folder: Path) -> Path:
    """The folder, made if it was missing, open to its owner only."""
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file for its owner only, whole or not at all."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)


def kept_password(folder: Path, wanted: str | None) -> str:
    """The password of the server in this folder: the wanted one, else the one it had, else a new one."""
    path = folder / "password"
    if wanted is None and path.exists():
        return path.read_text(encoding="utf-8").strip()
    password = wanted or secrets.token_hex(24)
    write_private(path, password + "\n")
    return password


def quoted(text: str | Path) -> str:
    """In double quotes, as the configuration files of NATS and Redis and the option files of MariaDB read it."""
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
