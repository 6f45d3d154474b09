"""The faults, one file for each thing that is broken. `MATRIX` lists them all, in the order in which they run."""

from __future__ import annotations

from sandbox.chaos.faults import (
    clock,
    disk,
    encryption,
    mysql,
    pressure,
    providers,
    queue,
    receipts,
    redis,
    replay,
    steps,
    warehouse,
)
from sandbox.chaos.nemesis import Fault

MATRIX: tuple[Fault, ...] = (
    *mysql.FAULTS,
    *redis.FAULTS,
    *steps.FAULTS,
    *disk.FAULTS,
    *replay.FAULTS,
    *queue.FAULTS,
    *warehouse.FAULTS,
    *clock.FAULTS,
    *receipts.FAULTS,
    *providers.FAULTS,
    *encryption.FAULTS,
    *pressure.FAULTS,
)

QUICK = ("F1", "F3b", "F6", "F21a", "F21b")
"""What `--quick` runs: a crash, a commit whose answer is lost, a server that reads and does not write, two races."""
