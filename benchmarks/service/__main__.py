"""`make bench-service`: the service beside the plain way to write it, and beside the limits of what it is made of."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import click
import uvloop

from benchmarks.lanes import laned
from benchmarks.service import overload as flooding
from benchmarks.service.ground import Calls, Ground, Side, module
from benchmarks.service.load import Tally, load, post
from benchmarks.service.profiling import Profiler, print_processes, print_profile
from benchmarks.service.table import Cell, Limits, print_report
from sandbox.ports import free_port

CALLERS = (1, 16, 64)
OPERATIONS = ("send", "check")
_RATE_MAX = {"service": {"send": 4_000, "check": 9_000}, "plain": {"send": 1_500, "check": 2_500}}
"""Calls a second that are prepared; no such machine does more in one process."""


@dataclass
class Comparison:
    """All that was measured, by operation, callers and side."""

    cells: dict[tuple[str, int, str], list[Tally]] = field(default_factory=lambda: defaultdict(list))

    def cell(self, operation: str, callers: int, side: str) -> Cell:
        """The rounds of one cell as medians and spread."""
        return Cell.of(self.cells[operation, callers, side])


class Progress:
    """What is measured now and how long the rest may take, on one line of a terminal, else a line each."""

    def __init__(self, *, cells: int) -> None:
        self._cells = cells
        self._done = -1
        self._began = time.monotonic()

    def begin(self, words: str) -> None:
        """The next cell."""
        self._done += 1
        minutes = (time.monotonic() - self._began) / 60 * (self._cells / self._done - 1) if self._done else 0.0
        left = f", about {max(1, round(minutes))} min left" if self._done else ""
        self._say(f"{words} ({self._done + 1} of {self._cells}{left})")

    def end(self) -> None:
        """Nothing is measured any more."""
        if sys.stderr.isatty():
            self._say("")

    def _say(self, words: str) -> None:
        in_place = sys.stderr.isatty()
        click.echo(f"\r{words:<79}" if in_place else words, nl=not in_place, err=True)


@click.command()
@click.option("--rounds", default=3, show_default=True, help="How often everything is measured; medians are printed.")
@click.option("--seconds", default=4.0, show_default=True, help="How long each cell is measured in a round.")
@click.option("--processes", default=1, show_default=True, help="Processes of the service, and of its rival.")
@click.option("--idempotent/--not-idempotent", default=True, help="Whether sends carry an Idempotency-Key.")
@click.option(
    "--profile", is_flag=True, help="Show where the time of the service goes instead; one process, 64 callers."
)
@click.option(
    "--overload", is_flag=True, help="Offer ten times the sends it can do instead, and show who is sent away."
)
@click.option("--flood-seconds", default=60.0, show_default=True, help="How long the overload lasts.")
def main(
    rounds: int,
    seconds: float,
    processes: int,
    idempotent: bool,
    profile: bool,
    overload: bool,
    flood_seconds: float,
) -> None:
    """Measure sends and checks of the service beside the plain way to write it, in one run on this machine."""
    with (
        tempfile.TemporaryDirectory(prefix="heliograph-bench-") as folder,
        Ground(Path(folder), processes=1 if profile else processes) as ground,
    ):
        if profile:
            look_inside(ground, seconds=seconds, idempotent=idempotent)
        elif overload:
            flooding.overload(ground, seconds=seconds, flood_seconds=flood_seconds, idempotent=idempotent)
        else:
            compare(ground, rounds=rounds, seconds=seconds, idempotent=idempotent)


def look_inside(ground: Ground, *, seconds: float, idempotent: bool) -> None:
    """Print a profile of sends and one of checks."""
    side = ground.side("service")
    calls = Calls(side, ground.numbers, idempotent=idempotent)
    for operation in OPERATIONS:
        measure(side, calls, operation, callers=64, seconds=1.0)
        prepared = prepare(side, calls, operation, callers=64, seconds=seconds + 1)
        waiting, cpu = len(prepared), ground.cpu_seconds(side)
        profiler = Profiler(side.children[0].pid, ground.folder / f"{operation}.txt", seconds=seconds)
        tally = uvloop.run(load(side.ports, prepared, callers=64, warm_seconds=0.5, seconds=seconds + 0.5))
        count, made = round(tally.rate * seconds), waiting - len(prepared)
        spent = {name: end - cpu[name] for name, end in ground.cpu_seconds(side).items()}
        print_profile(f"{operation}, 64 callers", profiler.samples(), seconds=seconds, calls=count)
        print_processes(spent, calls=made)


def compare(ground: Ground, *, rounds: int, seconds: float, idempotent: bool) -> None:
    """Print the table."""
    sides = [ground.side("service"), ground.side("plain")]
    calls = {side.name: Calls(side, ground.numbers, idempotent=idempotent) for side in sides}
    limits = Limits()
    empty_port = free_port()
    ground.start("empty", module("benchmarks.service.empty", str(empty_port)), port=empty_port, env={})
    comparison = Comparison()
    progress = Progress(cells=rounds * (1 + len(OPERATIONS) * len(CALLERS) * len(sides)))
    for number in range(rounds):
        progress.begin(f"round {number + 1} of {rounds}: the limits")
        limits.empty_posts.append(_empty(empty_port, seconds))
        limits.batched_rows.append(uvloop.run(laned(ground.database("limit"))))
        for operation, callers in product(OPERATIONS, CALLERS):
            for side in sides if number % 2 == 0 else sides[::-1]:
                progress.begin(f"round {number + 1} of {rounds}: {operation}, {callers} callers, {side.name}")
                tally = measure(side, calls[side.name], operation, callers=callers, seconds=seconds)
                comparison.cells[operation, callers, side.name].append(tally)
    progress.end()
    print_report(comparison.cell, limits, processes=ground.processes)


def measure(side: Side, calls: Calls, operation: str, *, callers: int, seconds: float) -> Tally:
    """One cell of one round. The first quarter warms up and is not counted."""
    warm = seconds / 4
    prepared = prepare(side, calls, operation, callers=callers, seconds=seconds + warm)
    waiting, cpu = len(prepared), side.cpu_seconds()
    try:
        tally = uvloop.run(load(side.ports, prepared, callers=callers, warm_seconds=warm, seconds=seconds))
    except ConnectionError as error:
        logs = "\n".join(child.log_tail() for child in side.children)
        raise click.ClickException(f"{side.name}: {error}. Its log ends:\n{logs}") from None
    tally.cpu_ms = (side.cpu_seconds() - cpu) * 1000 / max(1, waiting - len(prepared))
    return tally


def prepare(side: Side, calls: Calls, operation: str, *, callers: int, seconds: float) -> deque[bytes]:
    """More calls than can be made in this time."""
    rate_max = _RATE_MAX[side.name][operation] * len(side.ports) * (0.4 if callers == 1 else 1.0)
    make = calls.prepare_sends if operation == "send" else calls.prepare_checks
    return make(int(rate_max * seconds))


def _empty(port: int, seconds: float) -> float:
    calls = deque([post("/", b"{}")] * int(25_000 * seconds * 1.25))
    return uvloop.run(load([port], calls, callers=64, warm_seconds=seconds / 4, seconds=seconds)).rate


if __name__ == "__main__":
    main()
