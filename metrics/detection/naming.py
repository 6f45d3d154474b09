"""What it is called: the table of faults, read off what moved and what stayed in the scope of an incident."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.detection.channels import ACC, DEL, DLY, FIL, GRID, REC, RGT, VER
from metrics.detection.evidence import T_ACC, T_DEL, T_FIL, T_REC, T_RGT, T_TIMELY
from metrics.detection.incidents import Channel, Kind, Scope
from metrics.detection.leaves import Floats

PUMPED = 1.5
"""Volume of the scope beyond which a collapse of fills is an attack and not a cheating provider."""
_FILLS_FEW = 6.0
_CLEAR, _UPSTREAM = 8.0, 0.3


@dataclass(frozen=True)
class Facts:
    """Sums over the scope since the onset: evidence by column, tallies, messages, and the volume that was expected."""

    ratio: Floats
    tally: Floats
    volume: Floats
    usual_volume: float

    def drop(self, tally: int) -> float:
        """The share that is missing of what was expected; 0 where nothing was."""
        expected, observed = self.tally[2 * tally], self.tally[2 * tally + 1]
        return float(1 - observed / expected) if expected > 0 else 0.0

    def best(self, watched: int) -> float:
        """The evidence for a series, under its best alternative."""
        return float(self.ratio[watched * GRID : (watched + 1) * GRID].max())

    @property
    def swollen(self) -> float:
        """How many times the usual volume it carries."""
        return float(self.volume[0] / self.usual_volume) if self.usual_volume > 0 else 1.0


def name(facts: Facts, watched: int, scope: Scope, leading_class: str) -> tuple[Kind, Channel, int]:
    """The name of what moved, the channel that shows it, and the series that says whether it lasts.

    `leading_class` is the class of the codes that grew, "" when unknown. Fills fall for every reason there is, so
    they give the name only where the receipts have nothing to say.
    """
    if watched == ACC:
        return "provider-outage", "accepted", ACC
    if watched == RGT:
        return "verification-broken", "right", RGT
    upstream = max(facts.best(one) for one in (REC, VER, DLY))
    if watched == FIL and upstream < max(_CLEAR, _UPSTREAM * facts.best(FIL)):
        return ("pumping" if facts.swollen > PUMPED else "fake-receipts"), "filled", FIL
    late = facts.best(DLY)
    if late >= max(facts.best(REC), 0.0) and late >= 0.5 * max(facts.best(VER), 0.0):
        return "slow-channel", "delay", DLY
    receipts, delivered = facts.drop(T_REC), max(facts.drop(T_DEL), 1e-9)
    if receipts >= 0.6 * delivered and facts.best(REC) > facts.best(VER):
        blind = facts.tally[2 * T_FIL] < _FILLS_FEW or facts.drop(T_FIL) < 0.5 * receipts
        return ("receipts-stop" if blind else "black-hole"), "receipts", REC
    told_by = VER if facts.best(VER) >= facts.best(DEL) else DEL
    if leading_class == "blocked" or (not leading_class and "template" in scope):
        return "template-blocked", "delivered", told_by
    return "delivery-drop", "delivered", told_by


TALLY: dict[Channel, int] = {
    "accepted": T_ACC,
    "receipts": T_REC,
    "delivered": T_DEL,
    "filled": T_FIL,
    "right": T_RGT,
    "delay": T_TIMELY,
}
SERIES: dict[Channel, int] = {
    "accepted": ACC,
    "receipts": REC,
    "delivered": DEL,
    "filled": FIL,
    "right": RGT,
    "delay": DLY,
}

_SHADOWED: dict[int, tuple[int, ...]] = {
    ACC: (ACC, REC, DEL, VER, FIL, DLY),
    REC: (REC, DEL, VER, FIL, DLY),
    DEL: (REC, DEL, VER, FIL, DLY),
    VER: (REC, DEL, VER, FIL, DLY),
    DLY: (REC, DEL, VER, FIL, DLY),
    FIL: (FIL, RGT),
    RGT: (RGT, FIL),
}


def shadowed(watched: int) -> np.ndarray:
    """Which series move as a consequence of this one, and tell nothing of their own while it lasts."""
    mask = np.zeros(7, dtype=bool)
    mask[list(_SHADOWED[watched])] = True
    return mask
