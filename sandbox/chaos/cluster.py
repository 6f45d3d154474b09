"""Two instances of the service and all they need, as real processes that can be killed, hung and cut off from each other.

Every connection of the service to a store, the queue or the encryption service goes through a link of its own.
Nothing outlives the process that made it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import URL, make_url

from core.clock import utc_now
from core.errors import StoreUnavailable
from core.settings import Settings
from sandbox.chaos.proxy import Link, Proxies
from sandbox.children import Child, Process, http_answers, launch, wait_until_ready
from sandbox.errors import SandboxError
from sandbox.ports import LOOPBACK, free_ports
from sandbox.servers import ServerPlan, plan_mariadb, plan_redis
from sandbox.stack import Ports, Stack, lay_out
from service.key_chores import create_key

INSTANCES = ("a", "b")
APP = "chaos"
CODE_LENGTH = 10
"""Ten digits instead of six: a code is looked for in every file, and six digits stand in every timestamp."""
SETTINGS: Mapping[str, Mapping[str, object]] = {
    "code": {"cooldown_seconds": [0], "length": CODE_LENGTH},
    "ingest": {"wait_seconds": 0.1},
}
"""What differs from the product's defaults: waits that only cost time, and the length of codes."""
_KEY_TRIES = 5


class Member:
    """One process of the cluster. It keeps its ports and folder however often it is started; every start has a log of its own."""

    def __init__(self, process: Process, logs: Path) -> None:
        self.process = process
        self._logs = logs
        self._starts = 0
        self._child: Child | None = None

    @property
    def name(self) -> str:
        return self.process.name

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def is_up(self) -> bool:
        return self._child is not None and self._child.exit_status is None

    @property
    def logs(self) -> list[Path]:
        """The logs of all its starts, oldest first."""
        return sorted(self._logs.glob(f"*/{self.name}.log"))

    def start(self) -> None:
        """Start it and wait until it is ready. Blocks."""
        self._starts += 1
        self._child = launch(self.process, self._logs / f"{self._starts:02d}")
        try:
            wait_until_ready(self._child)
        except BaseException:
            self._child.kill()
            raise

    def kill(self) -> None:
        """`kill -9`."""
        self._running.kill()

    def stop(self) -> None:
        """Ask it to end, then kill it. Stopping twice is fine."""
        if self._child is not None:
            self._child.stop()

    def hang(self) -> None:
        """SIGSTOP: its connections stay open, and nothing comes."""
        self._running.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._running.send_signal(signal.SIGCONT)

    async def restart(self) -> None:
        """Start it again, whether it has ended or not."""
        await asyncio.to_thread(self.stop)
        await asyncio.to_thread(self.start)

    def memory_bytes(self) -> int:
        """What it holds of the machine's memory; 0 where the system does not tell."""
        with suppress(OSError, ValueError, IndexError):
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return 0

    @property
    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._child


@dataclass
class Cluster:
    """A running cluster. `members` by name, `links` by what is behind them (one a client), keys of the API.

    `clocks` are the files that move the programs' clocks, by program; none unless the plan asks for them.
    """

    folder: Path
    stack: Stack
    database: ServerPlan | None
    members: dict[str, Member]
    links: dict[str, list[Link]]
    front: Link
    urls: Mapping[str, str]
    clocks: Mapping[str, Path]
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    offset_seconds: float = 0.0

    @property
    def settings(self) -> Settings:
        return self.stack.settings

    @property
    def store_url(self) -> str:
        """The primary store itself, past every link."""
        return self.settings.store.url.get_secret_value()

    @property
    def admin_url(self) -> str:
        """The primary store, for whoever may do everything."""
        return (self.database.admin_url if self.database else "") or self.store_url

    @property
    def live(self) -> list[str]:
        """The instances whose processes run."""
        return [name for name in INSTANCES if self.members[name].is_up]

    def journal(self, instance: str) -> Path:
        """The folder of the journals of an instance."""
        return self.folder / f"journal-{instance}"

    def clock(self) -> datetime:
        """The time as the programs and the providers see it."""
        return utc_now() + timedelta(seconds=self.offset_seconds)

    def move_clocks(self, seconds: float) -> None:
        """From now on the clocks of all programs and of the providers are that far from the truth."""
        for name in self.clocks:
            self.move_clock(name, seconds)
        self.offset_seconds = seconds

    def move_clock(self, name: str, seconds: float) -> None:
        """From now on the clock of one program is that far from the truth."""
        fresh = self.clocks[name].with_suffix(".new")
        fresh.write_text(f"{seconds}")
        fresh.replace(self.clocks[name])

    def trouble(self, name: str) -> list[Link]:
        """All links to one server."""
        return self.links[name]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a cluster is to be. `embedded` takes SQLite and Valkey instead of MariaDB and Redis; `fake_clock` lets clocks be moved.
    `database_disk_mb` and `mirror_disk_mb` give MySQL and Redis disks of their own of that size. By its `niceness` everything
    in it stands back behind other programs."""

    folder: Path
    seed: int = 0
    embedded: bool = False
    fake_clock: bool = False
    database_disk_mb: int = 0
    mirror_disk_mb: int = 0
    niceness: int = 0


class Starting:
    """Lays out a cluster and starts it: `async with Starting(plan) as cluster`. Leaving stops everything."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._proxies = Proxies(seed=plan.seed)
        self._cluster: Cluster | None = None
        self._mounted: list[Path] = []

    async def __aenter__(self) -> Cluster:
        try:
            self._cluster = cluster = await asyncio.to_thread(self._lay_out)
            await self._start(cluster)
        except BaseException:
            await self._end()
            raise
        return cluster

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        members = list(self._cluster.members.values()) if self._cluster else []
        for member in members:
            if member.is_up:
                member.go_on()  # one that hangs would not hear that it is to end
        await asyncio.to_thread(_side_by_side, [member.stop for member in members])
        await asyncio.to_thread(self._proxies.close)
        for folder in self._mounted:
            _run("umount", str(folder))

    async def _start(self, cluster: Cluster) -> None:
        members = cluster.members
        programs = {*INSTANCES, "encryptor", "ingester"}
        await asyncio.to_thread(_side_by_side, [members[name].start for name in members if name not in programs])
        # The first instance makes the tables; two that begin at the same moment would only wait for each other.
        for name, scopes in (("sender", {"send", "read"}), ("operator", {"operate"})):
            cluster.keys[name] = await _new_key(cluster.settings, frozenset(scopes))
        await asyncio.to_thread(_side_by_side, [members[name].start for name in programs])

    def _lay_out(self) -> Cluster:
        plan, folder = self._plan, self._plan.folder.absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = None if plan.embedded else plan_mariadb(self._disk(folder / "mariadb", plan.database_disk_mb))
        changes: dict[str, dict[str, object]] = {section: dict(values) for section, values in SETTINGS.items()}
        mirror = None if plan.embedded else plan_redis(self._disk(folder / "redis", plan.mirror_disk_mb))
        if mirror is not None:
            changes["mirror"] = {"url": mirror.url}
        stack = lay_out(folder, Ports.pick(), store_url=database.url if database else "", changes=changes)
        servers = {server.name: server for server in stack.servers}
        if mirror is not None:
            del servers["valkey"]
        servers["redis"] = mirror or servers.pop("valkey")
        if database is not None:
            servers["mysql"] = database
        members = {name: self._member(server.process, folder) for name, server in servers.items()}
        members["encryption"] = self._member(stack.plan_encryption(), folder)
        ports = {name: server.port for name, server in servers.items()}
        ports["encryption"] = stack.ports.encryption
        return self._with_programs(stack, database, members, ports)

    def _member(self, process: Process, folder: Path) -> Member:
        nice = ["nice", "-n", str(self._plan.niceness)] if self._plan.niceness else []
        return Member(replace(process, argv=[*nice, *process.argv]), folder / "logs")

    def _disk(self, folder: Path, size_mb: int) -> Path:
        """The folder, on a disk of its own when that has a size."""
        if size_mb:
            folder.mkdir()
            _run("mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=700", "tmpfs", str(folder))
            self._mounted.append(folder)
        return folder

    def _with_programs(
        self, stack: Stack, database: ServerPlan | None, members: dict[str, Member], ports: Mapping[str, int]
    ) -> Cluster:
        folder = stack.folder
        api = dict(zip(INSTANCES, free_ports(len(INSTANCES)), strict=True))
        clocks: dict[str, Path] = {}
        links: dict[str, list[Link]] = {name: [] for name in ports}
        for name in (*INSTANCES, "encryptor", "ingester"):
            environ = {"HELIOGRAPH_JOURNAL_FOLDER": str(folder / f"journal-{name}")}
            for target, port in ports.items():
                link = self._proxies.link(f"{name} to {target}", port)
                links[target].append(link)
                environ |= _through(link, target, stack.settings)
            if name in INSTANCES:
                environ["HELIOGRAPH_API_PORT"] = str(api[name])
                is_ready = http_answers(f"http://{LOOPBACK}:{api[name]}/readyz")
                process = stack.plan_program("service", is_ready=is_ready, port=api[name])
            else:
                process = {"encryptor": stack.plan_encryptor, "ingester": stack.plan_ingester}[name]()
            process = replace(process, name=name, env={**process.env, **environ})
            if self._plan.fake_clock:
                clocks[name] = folder / f"{name}.clock"
                clocks[name].write_text("0")
                process = hooked_process(process, "--clock", str(clocks[name]))
            members[name] = self._member(process, folder)
        return Cluster(
            folder=folder,
            stack=stack,
            database=database,
            members=members,
            links=links,
            front=self._proxies.link("front", *api.values()),
            urls={name: f"http://{LOOPBACK}:{port}" for name, port in api.items()},
            clocks=clocks,
        )


def hooked_process(process: Process, *options: str) -> Process:
    """The program of a member as `sandbox.hooked` runs it, with these options."""
    program = {"encryptor": "encryptor", "ingester": "ingester"}.get(process.name, "service")
    return replace(process, argv=[sys.executable, "-m", "sandbox.hooked", program, *options])


def fill(filler: Path) -> None:
    """Leave no room on the disk where this file is made."""
    free = shutil.disk_usage(filler.parent).free
    with suppress(OSError), filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free))
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)


def can_mount() -> bool:
    """Whether a small disk can be made."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SandboxError(
            f"{argv[0]} failed: {done.stderr.strip()}", hint="run this without the faults that need root"
        )


async def _new_key(settings: Settings, scopes: frozenset[str]) -> str:
    """An API key. On a busy machine the first answer of a store that makes its tables may take longer than its timeout."""
    for _ in range(_KEY_TRIES):
        with suppress(StoreUnavailable):
            key, _id = await create_key(settings, app=APP, scopes=scopes, label="chaos")
            return key
    key, _id = await create_key(settings, app=APP, scopes=scopes, label="chaos")
    return key


def _through(link: Link, target: str, settings: Settings) -> dict[str, str]:
    """The variables that lead a program through a link instead of straight to a server."""
    match target:
        case "mysql":
            url = make_url(settings.store.url.get_secret_value()).set(port=link.port)
            return {"HELIOGRAPH_STORE_URL": _text(url)}
        case "redis":
            return {
                "HELIOGRAPH_MIRROR_URL": _text(make_url(settings.mirror.url.get_secret_value()).set(port=link.port))
            }
        case "nats":
            return {"HELIOGRAPH_QUEUE_URL": _text(make_url(settings.queue.url.get_secret_value()).set(port=link.port))}
        case "clickhouse":
            return {"HELIOGRAPH_WAREHOUSE_PORT": str(link.port)}
        case "encryption":
            return {"HELIOGRAPH_ENCRYPTION_URL": f"http://{LOOPBACK}:{link.port}"}
    raise ValueError(f"no program knows {target}")


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _side_by_side(works: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(max_workers=max(1, len(works))) as pool:
        for future in [pool.submit(work) for work in works]:
            future.result()
