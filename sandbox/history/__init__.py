"""Writes a simulated past as event files, in the schema that the queue carries, for `heliograph ingest` to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from sandbox.history.incidents import past_incidents
from sandbox.history.lines import lines_of
from sandbox.history.past import Routes, simulate
from sandbox.world import World

__all__ = ["live_rate_per_minute", "past_incidents", "write_history"]

_STREAM = 1  # of the world's generator: not the one that live traffic draws from


def write_history(
    folder: Path,
    *,
    world: World,
    end: datetime,
    days: int,
    verifications_per_day: int,
    progress: Callable[[int, int], None],
) -> list[Path]:
    """The past of `days` days up to `end`, one file a kind and UTC day. Returns the files, oldest first.

    The last one, `outstanding.jsonl`, holds what was under way at `end` and comes after it: receipts, checks, answers
    to what was submitted before. `progress` is called with the days done and the days there are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    past_world = World(seed=world.seed, faults=(*past_incidents(end=end, days=days), *world.faults))
    routes = Routes(past_world)
    stretches = list(_stretches(end - timedelta(days=days), end))
    written: list[Path] = []
    outstanding: list[str] = []
    for done, (start, until) in enumerate(stretches):
        progress(done, len(stretches))
        rng = past_world.rng(_STREAM, done)
        past = simulate(past_world, routes, rng, start=start, end=until, stop=end, per_day=verifications_per_day)
        for kind, lines in lines_of(past, rng, seed=world.seed).items():
            due = (lines.at < end.timestamp()).tolist()
            written.append(
                _write(
                    folder / f"{kind}-{start:%Y-%m-%d}.jsonl",
                    [t for t, now in zip(lines.text, due, strict=True) if now],
                )
            )
            outstanding += [text for text, now in zip(lines.text, due, strict=True) if not now]
    written.append(_write(folder / "outstanding.jsonl", outstanding))
    progress(len(stretches), len(stretches))
    return written


def live_rate_per_minute(verifications_per_day: int) -> float:
    """The rate of live traffic that goes on where a history of that volume ends."""
    return verifications_per_day / 1440


def _stretches(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """[start, end) cut at midnight UTC, so that a file holds one day of the warehouse's partitions."""
    while start < end:
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        yield start, min(midnight, end)
        start = midnight


def _write(path: Path, lines: list[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path
