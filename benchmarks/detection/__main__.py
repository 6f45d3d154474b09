"""`make bench-detect`: the detector on labelled worlds that nobody tuned it on, beside two rules that others use."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import click

from benchmarks.detection.cells import Cell, Rival, World, run_world, say
from benchmarks.detection.table import misses, report
from sandbox.drills import VOLUMES

DEVELOPMENT_SEEDS = (1, 2, 3, 4, 5, 102, 103, 104)
"""For tuning; the last three were unseen until they were measured once. What is printed by default comes from other seeds,
on which nothing was tuned."""
UNSEEN_SEEDS = (105, 106, 107)

_WORLD_GB = {"small": 4, "large": 13}
"""What a world takes while it is drawn."""
_REST_GB = 2

_RULES = ("benchmarks/detection/rules.py", "benchmarks/detection/windows.py")
RIVALS = {
    "heliograph": Rival(
        "heliograph",
        "benchmarks.detection.product:Replay",
        ("metrics/detection", "metrics/counts/__init__.py", "benchmarks/detection/product.py"),
    ),
    "fixed": Rival("fixed threshold", "benchmarks.detection.rules:FixedThreshold", _RULES),
    "plivo": Rival("same hour (Plivo)", "benchmarks.detection.rules:SameHour", _RULES),
}


@click.command()
@click.option("--seed", "seeds", type=int, multiple=True, help=f"Worlds; default {', '.join(map(str, UNSEEN_SEEDS))}.")
@click.option(
    "--development", is_flag=True, help=f"The worlds to tune on: seeds {', '.join(map(str, DEVELOPMENT_SEEDS))}."
)
@click.option("--volume", "volumes", type=click.Choice(list(VOLUMES)), multiple=True, help="Default: every one.")
@click.option("--detector", "names", type=click.Choice(list(RIVALS)), multiple=True, help="Default: every one.")
@click.option("--baseline-days", default=14, show_default=True, type=click.IntRange(8), help="Days without faults.")
@click.option("--test-days", default=7, show_default=True, type=click.IntRange(1), help="Days with faults, judged.")
@click.option("--faults", default=40, show_default=True, type=click.IntRange(1), help="Faults in the days with faults.")
@click.option(
    "--processes",
    default=None,
    type=click.IntRange(1),
    help=f"Worlds at a time; default: two, or one where memory is short: a large one takes {_WORLD_GB['large']} GB.",
)
@click.option("--misses", "told", is_flag=True, help="List what was missed, misnamed and false.")
@click.option(
    "--cache", type=click.Path(path_type=Path), help="Where alerts are kept; default below the temporary folder."
)
def main(
    seeds: tuple[int, ...],
    development: bool,
    volumes: tuple[str, ...],
    names: tuple[str, ...],
    baseline_days: int,
    test_days: int,
    faults: int,
    processes: int | None,
    told: bool,
    cache: Path | None,
) -> None:
    """Judge detectors on labelled worlds: what they find, how soon, how right, and how often they cry wolf.

    \b
      make bench-detect
      make bench-detect ARGS='--development --volume small --misses'

    The default, six worlds of three weeks, takes about 20 minutes of processor time: 10 minutes on two free cores, with a
    line whenever something is done. Alerts are kept: what ran before with the same code is not run again, so a run that
    was broken off goes on where it was. Rules of judgement: benchmarks/README.md.
    """
    chosen = seeds or (DEVELOPMENT_SEEDS if development else UNSEEN_SEEDS)
    worlds = [
        World(seed, volume, baseline_days, test_days, faults)
        for volume, seed in product(volumes or tuple(VOLUMES), chosen)
    ]
    rivals = [RIVALS[name] for name in names or RIVALS]
    folder = cache or Path(tempfile.gettempdir()) / f"heliograph-bench-detect-{os.getuid()}"
    order = {world: number for number, world in enumerate(worlds)}
    at_once = processes or _fitting(worlds)
    cells = sorted(_run(worlds, rivals, folder, at_once), key=lambda cell: order[cell.world])
    click.echo(report(cells))
    if told:
        for rival in rivals:
            click.echo(f"\n{rival.name}\n{misses(cells, rival.name)}")


def _fitting(worlds: list[World]) -> int:
    """How many of them this machine has memory for at a time, two at most."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return 2 if memory_gb > 2 * max(_WORLD_GB[world.volume] for world in worlds) + _REST_GB else 1


def _run(worlds: list[World], rivals: list[Rival], cache: Path, processes: int) -> Iterator[Cell]:
    """All cells, as they come; progress goes to stderr."""
    began = time.monotonic()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        tell = partial(say, began)
        tasks = {pool.submit(run_world, world, rivals, cache, tell): world for world in worlds}
        for done, task in enumerate(as_completed(tasks), 1):
            yield from task.result()
            tell(f"{tasks[task]}: {done} of {len(worlds)} worlds are done")


if __name__ == "__main__":
    main()
