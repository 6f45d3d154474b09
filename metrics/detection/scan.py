"""Where it is: the slice that explains the evidence best, paying for every dimension and for every slice it competes with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.detection.channels import columns
from metrics.detection.evidence import Minute
from metrics.detection.leaves import Bools, Floats, Slices

_PER_DIMENSION, _PER_RIVAL = 1.5, 0.5


@dataclass(frozen=True)
class Found:
    """A slice, its score (evidence less its price), and the alternative that fits it best."""

    slice: int
    score: float
    alternative: int


def scan(slices: Slices, totals: Floats, watched: int) -> tuple[Found, Floats]:
    """The best slice for the evidence `totals` (`[leaf, column]`) of one series; and the scores of all."""
    leaves = np.nonzero(np.abs(totals[:, columns(watched)]).sum(axis=1) > 0)[0]
    sums = slices.sums(leaves, totals[leaves][:, columns(watched)])
    price = _PER_DIMENSION * slices.depths + _PER_RIVAL * np.log(np.maximum(slices.of_kind, 1))
    scores = sums.max(axis=1) - price
    best = int(scores.argmax())
    return Found(best, float(scores[best]), int(sums[best].argmax())), scores


def onset(minutes: Sequence[Minute], held: Bools, watched: int, alternative: int) -> int:
    """The first minute after CUSUM's last zero, of the leaves `held`."""
    column = columns(watched).start + alternative
    level, began = 0.0, minutes[-1].minute
    for one in minutes:
        inside = held[one.leaf]
        told = float(one.ratio[inside, column].sum())
        if level == 0.0:
            began = one.minute
        level = max(0.0, level + told)
    return began


def totals(minutes: Iterable[Minute], first: int, leaves: int, width: int) -> Floats:
    """The evidence of each leaf, added up from the minute `first` on."""
    table = np.zeros((leaves, width))
    for one in minutes:
        if one.minute >= first:
            table[one.leaf] += one.ratio
    return table
