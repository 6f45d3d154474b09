"""The composition roots of ingest: the program that reads the queue, and the chore that reads files."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core import settings as core_settings
from core import warehouse as door
from core.clock import Clock, utc_now
from core.errors import BadInput
from core.hooks import Step, no_step
from core.numbers import NumberHash
from core.queue.jetstream import JetStreamQueue
from core.redact import redact
from core.settings import Settings
from ingest import mapping as mappings
from ingest.files import FileTotals, ingest_file
from ingest.letters import Letters, Retrier
from ingest.mapping import Mapper
from ingest.sink import Sink
from ingest.stream import StreamIngester

_log = structlog.get_logger(__name__)


def run(settings: Settings, *, step: Step = no_step, clock: Clock = utc_now) -> None:
    """Read the queue until SIGTERM or Ctrl-C. Raises `WarehouseUnavailable` when ClickHouse is not there at the start."""
    warehouse = door.connect(settings.warehouse)
    warehouse.migrate()
    sink = Sink(warehouse, clock=clock)
    asyncio.run(_run(settings, sink, Retrier(warehouse, sink, clock=clock), step))
    warehouse.close()


async def _run(settings: Settings, sink: Sink, retrier: Retrier, step: Step) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    queue = JetStreamQueue(settings.queue, name="heliograph ingester")
    ingester = StreamIngester(queue, sink, settings.ingest, step=step)
    _log.info("ingest runs")
    await asyncio.gather(ingester.run(stop), retrier.run(stop))
    await queue.close()
    _log.info("ingest stopped", messages=ingester.totals.messages, events=ingester.totals.events)


def load_files(paths: Sequence[Path], mapping: str | None) -> None:
    """Load files with progress, and say what became of each. Raises `BadInput` when no row of any could be stored."""
    settings = core_settings.load()
    warehouse = door.connect(settings.warehouse)
    warehouse.migrate()
    key = settings.numbers.hash_key.get_secret_value()
    mapper = Mapper(mappings.load(mapping), NumberHash(key) if key else None) if mapping else None
    sink = Sink(warehouse, clock=utc_now)
    console = Console(stderr=True)
    stored = 0
    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console
    ) as bars:
        for path in paths:
            totals = ingest_file(path, sink, mapper=mapper, progress=_bar(bars, path.name))
            stored += totals.events
            bars.console.print(_summary(path, totals), highlight=False)
    if not stored:
        raise BadInput("no row could be stored", hint="the reasons stand above, and in the table dead_letters")


def retry_letters() -> None:
    """Try the dead letters again with progress, and say what became of them."""
    warehouse = door.connect(core_settings.load().warehouse)
    warehouse.migrate()
    letters = Letters(warehouse, Sink(warehouse, clock=utc_now), clock=utc_now)
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    ) as bars:
        done = letters.retry(progress=_bar(bars, "dead letters"))
    console.print(done.told(), highlight=False)


def _bar(bars: Progress, name: str) -> Callable[[int, int], None]:
    task = bars.add_task(name)

    def move(done: int, total: int) -> None:
        bars.update(task, completed=done, total=total)

    return move


def _summary(path: Path, totals: FileTotals) -> str:
    lines = [f"{path.name}: rows={totals.rows} events={totals.events} dead_letters={totals.dead_letters}"]
    worst = sorted(totals.reasons.items(), key=lambda item: -item[1])[:5]
    return "\n".join(lines + [f"  {count} × {redact(reason)}" for reason, count in worst])
