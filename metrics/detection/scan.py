"""Where it is: the slice that explains the evidence best, paying for every dimension and for every slice it competes with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from metrics.detection.channels import columns
from metrics.detection.evidence import Minute
from metrics.detection.incidents import Scope
from metrics.detection.leaves import Bools, Floats, Leaves, Slices

_PER_DIMENSION, _PER_RIVAL = 1.5, 0.5
_PER_VALUE = 2.0
_MOST_DIMENSIONS = 3
_ILL, _BETTER, _WELL = 6.0, 3.0, -2.0
"""Evidence that a value needs of its own to be ill, by how much a joined scope has to be better, and below which a rest is well."""


@dataclass(frozen=True)
class Joined:
    """A scope with several values in one dimension, and its score."""

    scope: dict[str, tuple[str, ...]]
    score: float


@dataclass(frozen=True)
class Found:
    """A slice, its score (evidence less its price), and the alternative that fits it best."""

    slice: int
    score: float
    alternative: int


def scan(slices: Slices, totals: Floats, watched: int) -> Found:
    """The best slice for the evidence `totals` (`[leaf, column]`) of one series."""
    leaves = np.nonzero(np.abs(totals[:, columns(watched)]).sum(axis=1) > 0)[0]
    sums = slices.sums(leaves, totals[leaves][:, columns(watched)])
    price = _PER_DIMENSION * np.maximum(slices.depths, 1) + _PER_RIVAL * np.log(np.maximum(slices.of_kind, 1))
    scores = sums.max(axis=1) - price
    best = int(scores.argmax())
    return Found(best, float(scores[best]), int(sums[best].argmax()))


def score_of(leaves: Leaves, totals: Floats, watched: int, scope: Scope) -> float:
    """The score of any scope, with however many values: its evidence less its price."""
    told = float(totals[leaves.inside(scope)][:, columns(watched)].sum(axis=0).max())
    rivals = 1
    for name in scope:
        rivals *= max(len(leaves.groups(name)[1]), 1)
    more = sum(len(values) - 1 for values in scope.values())
    return told - _PER_DIMENSION * max(len(scope), 1) - _PER_RIVAL * log(rivals) - _PER_VALUE * more


def join(leaves: Leaves, totals: Floats, watched: int, scope: Scope, alternative: int) -> Joined | None:
    """Whether several values of a dimension, and not one and not all, explain the evidence better than `scope`.

    Tried are other values beside those of the scope, and the values of a dimension that the scope leaves open. A value is
    joined when it is ill by itself: by evidence of its own, not by that of its neighbours.
    """
    evidence = totals[:, columns(watched)][:, alternative]
    best: Joined | None = None
    for name in leaves.dimensions:
        around = {other: values for other, values in scope.items() if other != name}
        held = leaves.inside(around)
        group, keys = leaves.groups(name)
        told = np.bincount(group[held], weights=evidence[held], minlength=len(keys))
        ill = [value for (value,), sum_of in zip(keys, told, strict=True) if sum_of > _ILL and value]
        if 2 <= len(ill) < len(np.unique(group[held])):
            joined = {**around, name: tuple(sorted(ill))}
            score = score_of(leaves, totals, watched, joined)
            if best is None or score > best.score:
                best = Joined(joined, score)
    if best is None or len(best.scope) > _MOST_DIMENSIONS:
        return None
    return best if best.score > score_of(leaves, totals, watched, scope) + _BETTER else None


def one_feed(leaves: Leaves, totals: Floats, watched: int, held: Bools, alternative: int) -> Bools | None:
    """The leaves of the provider whose whole feed may be what is ill in `held`; None when it cannot be one feed alone.

    It cannot when a second provider is ill there too, or when this one is well elsewhere.
    """
    evidence = totals[:, columns(watched)][:, alternative]
    provider, keys = leaves.groups("provider")
    told = np.bincount(provider[held], weights=evidence[held], minlength=len(keys))
    feed: Bools = provider == told.argmax()
    elsewhere = evidence[feed & ~held].sum()
    return feed if told.sum() - told.max() < _ILL and elsewhere > _WELL else None


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
