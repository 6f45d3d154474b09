"""`heliograph demo`: the whole product on embedded servers, two weeks of simulated past, then live traffic through the API.

It starts everything in order, waits until each part answers, says where to look, watches, and stops everything when it
is told to or when a part dies. It restarts nothing by itself.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import click
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from core import log
from core import warehouse as door
from core.clock import utc_now
from ingest.files import ingest_file
from ingest.sink import Sink
from sandbox.children import Process, log_shows
from sandbox.history import live_rate_per_minute, write_history
from sandbox.ports import can_bind
from sandbox.servers.base import write_private
from sandbox.stack import Ports, Stack, lay_out
from sandbox.supervisor import Supervisor
from sandbox.traffic import Order
from sandbox.world import APPS, World, make_number
from service.key_chores import create_key

SEED = 20_240_229
HISTORY_DAYS = 14
VERIFICATIONS_PER_DAY = 20_000
FAULT_AFTER = timedelta(minutes=3)

_OF_A_PAST = ("clickhouse", "nats", "valkey", "journal", "reports", "mails", "store.sqlite3*")
_OF_A_DEMO = (
    *_OF_A_PAST, "alerts", "history", "history.loaded", "traffic.json", "api-keys.json", "encryption.key", "secrets.toml",
    "heliograph.toml", "logs",
)  # fmt: skip
"""What a demo leaves in its folder; whatever else lies there is somebody's own."""


@dataclass(frozen=True)
class Wishes:
    """What the user of the demo asked for; a port of 0 means the usual one, or a free one where that is taken."""

    folder: Path
    fresh: bool
    fault: str
    api_port: int
    dashboard_port: int
    mailbox_port: int


def run(wishes: Wishes) -> None:
    """Run the demo until Ctrl-C. Raises `ProcessDied`, `FolderInUse`, `PortTaken`, ..., with everything stopped by then."""
    log.configure("demo", level="warning")
    began = time.monotonic()
    fault_from = utc_now() + FAULT_AFTER
    with Supervisor(wishes.folder) as supervisor:
        if wishes.fresh:
            begin_anew(wishes.folder)
        _forget_half_loaded(wishes.folder)
        ports = Ports.pick(
            api=_port(wishes.api_port, 8080),
            dashboard=_port(wishes.dashboard_port, 8501),
            mailbox=_port(wishes.mailbox_port, 8025),
        )
        stack = lay_out(wishes.folder, ports)
        click.echo(f"Heliograph starts; data and logs are in {wishes.folder}")
        for plan in stack.servers:
            supervisor.start(plan.process)
        supervisor.start(stack.plan_encryption())
        supervisor.start(stack.plan_mailbox())
        _load_history(stack)
        supervisor.start(stack.plan_service())
        supervisor.start(stack.plan_encryptor())
        supervisor.start(stack.plan_ingester())
        supervisor.start(_plan_traffic(stack, wishes.fault, fault_from))
        supervisor.start(stack.plan_dashboard())
        supervisor.start(stack.plan_scheduler())
        _say_where(stack, wishes.fault, fault_from, seconds=time.monotonic() - began)
        supervisor.watch()


def _port(wanted: int, usual: int) -> int:
    return wanted or (usual if can_bind(usual) else 0)


def _loaded(folder: Path) -> Path:
    return folder / "history.loaded"


def _forget_half_loaded(folder: Path) -> None:
    """A start that was interrupted while the past was loaded begins anew: half a past would look like an outage."""
    if (folder / "clickhouse").exists() and not _loaded(folder).exists():
        _forget(folder, _OF_A_PAST)


def begin_anew(folder: Path) -> None:
    """Remove what an earlier demo left in `folder`."""
    _forget(folder, _OF_A_DEMO)


def _forget(folder: Path, patterns: tuple[str, ...]) -> None:
    for path in (found for pattern in patterns for found in folder.glob(pattern)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _load_history(stack: Stack) -> None:
    """Two weeks of past, once a folder: written as event files, loaded by the ordinary file ingest."""
    if _loaded(stack.folder).exists():
        return
    end = utc_now()
    files = stack.folder / "history"
    warehouse = door.connect(stack.settings.warehouse)
    warehouse.migrate()
    sink = Sink(warehouse, clock=utc_now)
    columns = (
        TextColumn("  {task.description:<22}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        writing = bars.add_task("two weeks, simulated")
        paths = write_history(
            files,
            world=World(seed=SEED),
            end=end,
            days=HISTORY_DAYS,
            verifications_per_day=VERIFICATIONS_PER_DAY,
            progress=lambda done, total: bars.update(writing, completed=done, total=total),
        )
        loading = bars.add_task("loaded into ClickHouse", total=sum(path.stat().st_size for path in paths))
        for path in paths:
            ingest_file(path, sink)
            bars.advance(loading, path.stat().st_size)
    warehouse.close()
    shutil.rmtree(files)
    _loaded(stack.folder).write_text(end.isoformat(), encoding="utf-8")


def _plan_traffic(stack: Stack, fault: str, fault_from: datetime) -> Process:
    order = Order(
        api_url=stack.api_url,
        keys=_keys(stack),
        stands=list(stack.stands),
        seed=secrets.randbits(32),  # other people than at the last start: theirs still wait for their cool-down
        rate_per_minute=live_rate_per_minute(VERIFICATIONS_PER_DAY),
        fault=fault,
        fault_from=fault_from,
        own_number=_own_number(),
        smtp_port=stack.ports.smtp,
    )
    path = stack.folder / "traffic.json"
    write_private(path, msgspec.json.encode(order).decode())
    return Process(
        name="traffic",
        argv=[*stack.plan_mailbox().argv[:2], "sandbox.traffic", "--order", str(path)],
        is_ready=log_shows("traffic runs"),
        env={"PYTHONUNBUFFERED": "1"},
        ports=list(stack.ports.providers.values()),
    )


def _own_number() -> str:
    """The same at every start, and nobody's: the sandbox reaches no network."""
    return make_number(np.random.default_rng(SEED), "GB", "EE")


def _keys(stack: Stack) -> dict[str, str]:
    """An API key for each app of the world, and one for the user of the demo, kept beside the data."""
    path = stack.folder / "api-keys.json"
    if not path.exists():
        keys = {
            app: asyncio.run(create_key(stack.settings, app=app, scopes=frozenset({"send", "read"}), label="demo"))[0]
            for app in APPS
        }
        yours, _ = asyncio.run(
            create_key(stack.settings, app="you", scopes=frozenset({"send", "read", "operate"}), label="demo")
        )
        write_private(path, msgspec.json.encode(keys | {"you": yours}).decode())
    keys = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    return {app: key for app, key in keys.items() if app in APPS}


def _say_where(stack: Stack, fault: str, fault_from: datetime, *, seconds: float) -> None:
    lines = [
        "",
        f"Heliograph runs after {seconds:.0f} s. Codes are being sent through four simulated providers.",
        "",
        f"  dashboard   {stack.dashboard_url}",
        f"  API         {stack.api_url}/schema   (a key for you is in {stack.folder / 'api-keys.json'})",
        f"  mailbox     {stack.mailbox_url}   (yesterday's quality report arrives within a minute)",
        f"  handset     {_own_number()}   (yours: send to it, and the text comes up in the mailbox)",
        f"  logs        {stack.folder / 'logs'}",
        "",
    ]
    if fault:
        lines += [f"  fault       {fault}, from {fault_from:%H:%M} UTC on", ""]
    click.echo("\n".join([*lines, "Ctrl-C stops everything."]))
