"""The composition root of `heliograph detect`: its parts, from settings."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from core import warehouse as door
from core.clock import utc_now
from core.errors import BadInput, ConfigurationError
from core.files import held
from core.settings import Settings
from metrics.detection.detector import Tuning
from metrics.detection.events import attempts_of
from metrics.detection.incidents import Notification, sentence
from metrics.detection.job import LOCK, Job
from metrics.detection.replay import Progress as Told
from metrics.detection.replay import over_attempts, over_warehouse, span_of

_FIRST_DAY = timedelta(days=1)


def replay_to(
    settings: Settings,
    *,
    start: datetime | None,
    end: datetime | None,
    paths: Sequence[Path],
    out: Path | None,
    budget: float | None,
) -> str:
    """Replay to `out`, or to the terminal. Returns one line that says what was found."""
    detection = settings.detection
    tuning = Tuning(budget or detection.false_alarms_per_day, detection.baseline_days)
    start, end = _aware(start), _aware(end)
    with _progress() as progress:
        if paths:
            attempts = attempts_of(paths)
            first, last = span_of(attempts)
            notices = over_attempts(
                attempts, start=start or first + _FIRST_DAY, end=end or last, tuning=tuning, progress=progress
            )
            return _written(notices, out)
        if start is None or end is None:
            raise BadInput("a replay from the warehouse needs --from and --to")
        with closing(door.connect(settings.warehouse, readonly=True)) as warehouse:
            return _written(over_warehouse(warehouse, start=start, end=end, tuning=tuning, progress=progress), out)


def run_once(settings: Settings) -> Iterator[str]:
    """Judge what waits, unless a scheduler does. Yields a line a notification, and one on how far it came.

    Raises `ConfigurationError` when the folder of alerts, which tells who judges, cannot be used.
    """
    with ExitStack() as stack:
        try:
            is_ours = stack.enter_context(held(settings.alerts.folder / LOCK))
        except OSError as error:
            reason = f"{settings.alerts.folder} cannot be used: {error.strerror}"
            raise ConfigurationError(reason, hint="name a folder that can be written in [alerts] folder") from error
        if not is_ours:
            yield "nothing judged: that is left to who does already, a running scheduler or this command elsewhere"
            return
        yield from _judged_now(settings)


def _judged_now(settings: Settings) -> Iterator[str]:
    with closing(door.connect(settings.warehouse)) as warehouse:
        warehouse.migrate()
        judged = Job(settings.detection).minute(warehouse, utc_now())
    for one in judged.told:
        yield f"{one.at:%Y-%m-%d %H:%M} {one.event}: {sentence(one.incident)}"
    until = f", up to {judged.until:%Y-%m-%d %H:%M} UTC" if judged.until else ""
    yield f"{judged.state}{until}"


def _written(notices: Iterable[Notification], out: Path | None) -> str:
    counted: dict[str, int] = {}
    with out.open("w", encoding="utf-8") if out else _standing(sys.stdout) as file:
        for one in notices:
            file.write(json.dumps(one.as_line(), ensure_ascii=False) + "\n")
            counted[one.event] = counted.get(one.event, 0) + 1
    told = ", ".join(f"{count} {event}" for event, count in counted.items()) or "nothing found"
    return f"{out}: {told}" if out else told


@contextmanager
def _standing(file: TextIO) -> Iterator[TextIO]:
    yield file


@contextmanager
def _progress() -> Iterator[Told]:
    columns = TextColumn("replay"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("replay", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total) if done % 20 == 0 else None


def _aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
