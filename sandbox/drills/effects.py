"""What a fault does to the odds of the messages in its scope; `strength` is 0 to 1, message by message."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from core.events import ErrorClass
from sandbox.world.channels import FAILURES
from sandbox.world.fates import Codes, Floats

Columns = dict[str, Floats]
Effect = Callable[[Columns, Codes, Floats, float], None]
"""Called with the odds in columns, the rows that are touched, the strength there and the depth of the fault."""


def _outage(odds: Columns, rows: Codes, strength: Floats, depth: float) -> None:
    accepted = 1 - odds["rejected"][rows] - odds["broken"][rows] - odds["unanswered"][rows]
    odds["broken"][rows] += accepted * depth * strength * 0.65
    odds["unanswered"][rows] += accepted * depth * strength * 0.35


def _losing(failure: ErrorClass, told: float) -> Effect:
    """What was delivered no longer is; `told` is the share of the loss that a receipt tells, as `failure`."""
    kind = FAILURES.index(failure)

    def lose(odds: Columns, rows: Codes, strength: Floats, depth: float) -> None:
        lost = odds["delivered"][rows] * depth * strength
        odds["delivered"][rows] -= lost
        _swallow(odds, rows, lost * (1 - told), before=odds["failed"][rows])
        mix = odds["failure_mix"][rows] * odds["failed"][rows][:, None]
        mix[:, kind] += lost * told
        odds["failed"][rows] += lost * told
        odds["failure_mix"][rows] = mix / odds["failed"][rows][:, None]

    return lose


def _swallow(odds: Columns, rows: Codes, lost: Floats, *, before: Floats) -> None:
    """More messages end without a word; those that are new among them do not arrive."""
    silent = np.maximum(1 - odds["delivered"][rows] - lost - before, 1e-9)
    odds["silent_arrives"][rows] *= silent / (silent + lost)


def _black_hole(odds: Columns, rows: Codes, strength: Floats, depth: float) -> None:
    kept = 1 - depth * strength
    delivered, failed = odds["delivered"][rows], odds["failed"][rows]
    silent = np.maximum(1 - delivered - failed, 1e-9)
    swallowed = (delivered + failed) * depth * strength
    odds["delivered"][rows] = delivered * kept
    odds["failed"][rows] = failed * kept
    odds["pending"][rows] *= kept
    odds["silent_arrives"][rows] *= silent * kept / (silent + swallowed)


def _slow(odds: Columns, rows: Codes, strength: Floats, depth: float) -> None:
    odds["transit_seconds"][rows] *= depth**strength


def _fake(odds: Columns, rows: Codes, strength: Floats, depth: float) -> None:
    share = depth * strength
    odds["delivered"][rows] += share * np.maximum(0.985 - odds["delivered"][rows], 0)
    odds["failed"][rows] = np.minimum(odds["failed"][rows] * (1 - share), 1 - odds["delivered"][rows])
    odds["arrives"][rows] *= 1 - share


def _drift(odds: Columns, rows: Codes, strength: Floats, depth: float) -> None:
    odds["delivered"][rows] *= 1 - depth * strength


EFFECTS: Mapping[str, Effect] = {
    "provider-outage": _outage,
    "delivery-drop": _losing("route", told=0.67),
    "template-blocked": _losing("blocked", told=0.95),
    "black-hole": _black_hole,
    "slow-channel": _slow,
    "fake-receipts": _fake,
    "slow-drift": _drift,
}
"""By kind; the other kinds change who asks, how traffic is shared, when receipts come or what our check says."""
