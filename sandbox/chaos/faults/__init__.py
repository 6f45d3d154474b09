"""The faults, one file for each thing that is broken. `MATRIX` lists them all, in the order in which they run."""

from __future__ import annotations

from sandbox.chaos.faults import mysql
from sandbox.chaos.nemesis import Fault

MATRIX: tuple[Fault, ...] = (*mysql.FAULTS,)

QUICK = ("F1",)
"""What `--quick` runs."""
