"""One cell of the benchmark: a detector on a world. Cells are kept on disk, under a name made of the code they ran."""

from __future__ import annotations

import importlib
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path

import click
import msgspec
import pandas as pd

from benchmarks.detection.alerts import Alert, Detector
from benchmarks.detection.scoring import Leaves, Score, score
from sandbox.drills import Drill, Label

Tell = Callable[[str], None]
"""Called with a line of progress."""

_ROOT = Path(__file__).parents[2]
_WORLD_CODE = (
    "sandbox/drills",
    "sandbox/world",
    "sandbox/history/lines.py",
    "core/events.py",
    "benchmarks/detection/cells.py",
)


@dataclass(frozen=True)
class World:
    """Which world to draw."""

    seed: int
    volume: str
    baseline_days: int
    test_days: int
    faults: int

    def __str__(self) -> str:
        return f"{self.volume}-{self.seed}"

    def draw(self) -> Drill:
        """Draw it."""
        return Drill(
            self.seed,
            volume=self.volume,
            baseline_days=self.baseline_days,
            test_days=self.test_days,
            faults=self.faults,
        )


@dataclass(frozen=True)
class Rival:
    """A detector by name: where it is made, as `module:callable without arguments`, and the code that it is made of."""

    name: str
    factory: str
    code: tuple[str, ...]

    def make(self) -> Detector:
        """A new one."""
        module, _, attribute = self.factory.partition(":")
        made: Detector = getattr(importlib.import_module(module), attribute)()
        return made


@dataclass(frozen=True)
class Truth:
    """What is kept of a world to judge alerts by."""

    labels: list[Label]
    leaves: pd.DataFrame  # of `Leaves`: values, so that a kept truth outlives a change of the judge
    start: datetime
    end: datetime
    attempts: int


@dataclass(frozen=True)
class Cell:
    """A detector's score on a world."""

    rival: str
    world: World
    score: Score


def say(began: float, text: str) -> None:
    """A line of progress to stderr, with the seconds since `began`; the clock of `time.monotonic` is that of the machine."""
    click.echo(f"{time.monotonic() - began:6.0f} s  {text}", err=True)


def run_world(world: World, rivals: Sequence[Rival], cache: Path, tell: Tell) -> list[Cell]:
    """The cells of one world; what is not kept yet is drawn and run, and kept."""
    truth_path = cache / f"{_name(world, _WORLD_CODE)}.truth"
    paths = {rival: cache / f"{_name(world, _WORLD_CODE + rival.code, rival.factory)}.jsonl" for rival in rivals}
    missing = [rival for rival, path in paths.items() if not path.exists()]
    if missing or not truth_path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        tell(f"{world}: drawing {world.baseline_days + world.test_days} days")
        drill = world.draw()
        tell(f"{world}: {len(drill.attempts):,} attempts, {sum(not one.benign for one in drill.labels)} faults")
        truth = Truth(drill.labels, Leaves.of(drill.attempts).frame, drill.test_start, drill.end, len(drill.attempts))
        _keep(truth_path, pickle.dumps(truth))
        for rival in missing:
            alerts = rival.make()(drill.attempts, start=drill.test_start, end=drill.end)
            followed = _followed(alerts, drill.test_start, tell, f"{world}: {rival.name}")
            _keep(paths[rival], msgspec.json.Encoder().encode_lines(list(followed)))
    truth = pickle.loads(truth_path.read_bytes())
    return [Cell(rival.name, world, _judge(path, truth)) for rival, path in paths.items()]


def _followed(alerts: Iterable[Alert], start: datetime, tell: Tell, who: str) -> Iterator[Alert]:
    """The alerts as they come, with a word at the first of each day."""
    day = 0
    for alert in alerts:
        reached = (alert.detected_at - start) // timedelta(days=1) + 1
        if reached > day:
            day = reached
            tell(f"{who}, day {day}")
        yield alert
    tell(f"{who}, done")


def _judge(path: Path, truth: Truth) -> Score:
    alerts = [msgspec.json.decode(line, type=Alert) for line in path.read_bytes().splitlines()]
    return score(alerts, truth.labels, Leaves(truth.leaves), start=truth.start, end=truth.end)


def _keep(path: Path, body: bytes) -> None:
    """Whole or not at all: an interrupted run leaves no half cell."""
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(body)
    part.replace(path)


def _name(world: World, code: tuple[str, ...], factory: str = "") -> str:
    digest = blake2b(repr((world, factory)).encode(), digest_size=8)
    for place in code:
        root = _ROOT / place
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            digest.update(path.read_bytes())
    return f"{world}-{digest.hexdigest()}"
