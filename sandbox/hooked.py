"""A program of the product as it is, with a harness at its hooks: killed (-9) in a named step, on a disk that fails, or
with a clock that steps.

`python -m sandbox.hooked service --dies-in replay-mark` dies the first time it stands there. With `--disk FILE` what
the file says is the disk's word: `eio`, `full` or `slow`; empty or missing means that it works. With `--clock FILE` the
clock is as many seconds from the truth as the file says. The product itself has no setting that reaches these hooks.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
from datetime import datetime, timedelta
from pathlib import Path

import click
import uvloop

from core import log
from core.clock import Clock, utc_now
from core.hooks import NO_HOOKS, STEPS, Hooks, Step, no_step
from core.settings import load
from ingest.main import run
from service.main import serve, work_on_numbers

SLOW_SECONDS = 0.3
SYNCED_AGAIN_SUFFIX = ".synced-again"
_ERRORS = {"eio": errno.EIO, "full": errno.ENOSPC}


class Doom:
    """Ends the process, as `kill -9` does, when it stands in `step` for the time number `times`."""

    def __init__(self, step: str, *, times: int) -> None:
        self._step = step
        self._left = times

    def __call__(self, name: str) -> None:
        if name != self._step:
            return
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


class FileDisk:
    """Does with a sync what the control file says, and notes beside it when a file is synced again after it failed."""

    def __init__(self, control: Path) -> None:
        self._control = control
        self._failed: set[str] = set()

    def sync(self, descriptor: int) -> None:
        """See `core.hooks.Sync`."""
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        if name in self._failed:
            self._control.with_suffix(SYNCED_AGAIN_SUFFIX).touch()
        word = self._control.read_text().strip() if self._control.exists() else ""
        if code := _ERRORS.get(word):
            self._failed.add(name)
            raise OSError(code, os.strerror(code))
        if word == "slow":
            time.sleep(SLOW_SECONDS)
        os.fdatasync(descriptor)


class FileClock:
    """The time, as far from the truth as the control file says."""

    def __init__(self, control: Path) -> None:
        self._control = control

    def __call__(self) -> datetime:
        return utc_now() + timedelta(seconds=float(self._control.read_text()))


@click.command()
@click.argument("program", type=click.Choice(["service", "encryptor", "ingester"]))
@click.option("--dies-in", type=click.Choice(STEPS), help="The step in which it is killed.")
@click.option("--times", type=click.IntRange(1), default=1, show_default=True, help="How often it has to come there.")
@click.option("--disk", type=click.Path(dir_okay=False, path_type=Path), help="File that says what the disk does.")
@click.option(
    "--clock",
    "clock_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File that says how many seconds the clock is ahead.",
)
def main(program: str, dies_in: str | None, times: int, disk: Path | None, clock_file: Path | None) -> None:
    """Run PROGRAM with the settings of the environment until a signal, or until its end comes."""
    step: Step = Doom(dies_in, times=times) if dies_in else no_step
    hooks = Hooks(step=step, sync=FileDisk(disk).sync if disk else NO_HOOKS.sync)
    clock: Clock = FileClock(clock_file) if clock_file else utc_now
    log.configure(program)
    if program == "service":
        uvloop.run(serve(load(), hooks=hooks, clock=clock))
    elif program == "encryptor":
        asyncio.run(work_on_numbers(load(), step=step, clock=clock))
    else:
        run(load(), step=step, clock=clock)


if __name__ == "__main__":
    main()
