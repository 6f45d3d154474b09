"""What is watched: each channel's numerator, denominator and alternatives, laid out as the columns of every evidence table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from metrics.detection.cells import ACCEPTED, CHECKS, DELIVERED, FILLED, RECEIPTS, RIGHT, SUBMITTED
from metrics.detection.incidents import Channel

Way = Literal["at once", "hazard", "delay"]

ZONE = 0.7
"""How far the logit of a rate falls under the mildest alternative: about half of it is the zone in which nobody cares."""
LOSSES = (0.35, 0.8)
"""What is lost of a rate under the others. A fault loses a share of what it touches, whatever the rate was: in logits the
same fault is twice as deep where 98 of 100 are usual as where 80 are, and no three logits fit both."""
DELAYS_MINUTES = (0.4, 1.5, 6.0)
"""Mean of the exponential delay that a slow channel adds, under its alternatives."""
SMALLEST_DROP = 0.02
"""A fall of a rate by less than two points is a drift, however certain it is."""


@dataclass(frozen=True)
class Watched:
    """One series. `at once` is a binomial of what came this minute; `hazard` also judges what did not come; `delay`
    asks only when it comes. `patience` is for how many minutes an alarm has to last: stalls of two minutes heal.
    """

    name: str
    channel: Channel
    of: int
    out_of: int
    way: Way
    patience: int
    young: int
    """Cohorts up to this age say how things are now."""


WATCHED: tuple[Watched, ...] = (
    Watched("accepted", "accepted", ACCEPTED, SUBMITTED, "at once", 0, 0),
    Watched("receipts", "receipts", RECEIPTS, ACCEPTED, "hazard", 2, 1),
    Watched("delivered", "delivered", DELIVERED, ACCEPTED, "hazard", 2, 1),
    Watched("verdict", "delivered", DELIVERED, RECEIPTS, "at once", 0, 0),
    Watched("filled", "filled", FILLED, ACCEPTED, "hazard", 0, 5),
    Watched("right", "right", RIGHT, CHECKS, "at once", 0, 0),
    Watched("delay", "delay", RECEIPTS, ACCEPTED, "delay", 2, 1),
)
NAMES = tuple(one.name for one in WATCHED)
ACC, REC, DEL, VER, FIL, RGT, DLY = range(len(WATCHED))

GRID = 1 + len(LOSSES)
WIDTH = GRID * len(WATCHED)
PATIENCE = np.array([one.patience for one in WATCHED])


def columns(watched: int) -> slice:
    """The columns of a series in a table of evidence, one an alternative."""
    return slice(watched * GRID, (watched + 1) * GRID)
