"""`heliograph drill`: draw a labelled world and write it down, with progress."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sandbox.drills.drill import Drill
from sandbox.drills.files import write_drill


def run(
    folder: Path,
    *,
    seed: int,
    volume: str,
    rate_per_minute: float | None,
    baseline_days: int,
    test_days: int,
    faults: int,
) -> None:
    """Draw and write; says what there is now. Raises `click.ClickException` with what to do."""
    columns = (TextColumn("  {task.description:<18}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    try:
        with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bars:
            drawing, writing = bars.add_task("drawn"), bars.add_task("written", start=False)
            drill = Drill(
                seed,
                volume=volume,
                rate_per_minute=rate_per_minute,
                baseline_days=baseline_days,
                test_days=test_days,
                faults=faults,
                progress=lambda done, total: bars.update(drawing, completed=done, total=total),
            )
            bars.start_task(writing)
            write_drill(drill, folder, progress=lambda done, total: bars.update(writing, completed=done, total=total))
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error.strerror}") from None
    except ValueError as error:  # so many faults find no room in such a world
        raise click.ClickException(str(error)) from None
    broken = sum(not label.benign for label in drill.labels)
    click.echo(
        f"{len(drill.attempts):,} attempts from {drill.start:%Y-%m-%d} to {drill.end:%Y-%m-%d} in {folder}; "
        f"{broken} faults from {drill.test_start:%Y-%m-%d} on, {len(drill.labels) - broken} benign events: labels.json"
    )
