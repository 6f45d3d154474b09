"""Labelled worlds for detection: weeks of attempts in columns, with faults and benign events whose labels are known.

`Drill(seed=1, volume="small")` draws 14 days of baseline and 7 of test, with `attempts`, a frame of one row an attempt
in order of submission, and `labels`, a list of `Label`. The contract stands in `sandbox/drills/drill.py`.
"""

from __future__ import annotations

from sandbox.drills.drill import VOLUMES, Drill
from sandbox.drills.happenings import BENIGN_KINDS, FAULT_KINDS
from sandbox.drills.labels import TIERS, Label, tier_of

__all__ = ["BENIGN_KINDS", "FAULT_KINDS", "TIERS", "VOLUMES", "Drill", "Label", "tier_of"]
