"""What becomes of a message under chaos: nearly everything arrives, and receipts come twice, late, in the wrong order.

Nothing is random that a fault is about: a provider is dark only when the nemesis says so.
"""

from __future__ import annotations

import numpy as np

from core.events import ErrorClass
from sandbox.world import Fate, PlannedReceipt

FAILED_SHARE = 0.04
REPEATED_SHARE = 0.15
CONTRADICTED_SHARE = 0.05
"""A final receipt is followed by one that says the opposite: it must change nothing."""
BACKWARDS_SHARE = 0.05
"""The interim receipt comes after the final one."""
LATEST_SECONDS = 3.0
"""No receipt is planned for later than this after its message."""


class Carriers:
    """A `FateSource`. Providers in `dark` take a message and say nothing, whether it arrives or not."""

    def __init__(self) -> None:
        self.dark: set[str] = set()

    def fate(self, rng: np.random.Generator, *, provider: str, **_place: object) -> Fate:
        """What becomes of one message; the place does not matter here."""
        arrives_seconds = float(rng.uniform(0.02, 0.15))
        if provider in self.dark:
            return Fate("timeout", "timeout", 60.0, (), arrives_seconds)
        is_failed = bool(rng.random() < FAILED_SHARE)
        return Fate(
            answer="accepted",
            error_class="",
            answer_seconds=float(rng.uniform(0.005, 0.02)),
            receipts=_receipts(rng, arrives_seconds, is_failed=is_failed),
            arrives_seconds=None if is_failed else arrives_seconds,
        )


def _receipts(rng: np.random.Generator, arrives_seconds: float, *, is_failed: bool) -> tuple[PlannedReceipt, ...]:
    final_seconds = arrives_seconds + float(rng.uniform(0.05, 0.4))
    planned = [_final(final_seconds, failed=is_failed)]
    if rng.random() < 0.5:
        late = rng.random() < BACKWARDS_SHARE
        planned.append(PlannedReceipt(final_seconds + 0.5 if late else arrives_seconds, "pending", ""))
    if rng.random() < REPEATED_SHARE:
        planned.append(_final(float(rng.uniform(final_seconds, LATEST_SECONDS)), failed=is_failed))
    if rng.random() < CONTRADICTED_SHARE:
        planned.append(_final(float(rng.uniform(1.5, LATEST_SECONDS)), failed=not is_failed))
    return tuple(sorted(planned, key=lambda receipt: receipt.after_seconds))


def _final(after_seconds: float, *, failed: bool) -> PlannedReceipt:
    error_class: ErrorClass = "handset" if failed else ""
    return PlannedReceipt(after_seconds, "failed" if failed else "delivered", error_class)
