"""Shiryaev–Roberts over every slice at once: SR ← e^LLR · (1 + SR), averaged over the alternatives, alarm at K·1440/B.

One number, the false alarms a day that are tolerated, handles that thousands of series are watched: small ones take longer.
"""

from __future__ import annotations

import numpy as np

from metrics.detection.channels import DEL, DLY, FIL, GRID, PATIENCE, REC, WATCHED, WIDTH
from metrics.detection.evidence import Minute
from metrics.detection.leaves import Bools, Floats, Ints, Slices

NEVER = 2**62
_MOST = 1e200
_STEP = 60.0
_PARTS = np.array([0.3, 0.5, 0.2])
"""Of the tolerated false alarms, for slices of at most one dimension, of two, of three: a hundred wide ones ring sooner than
they would as a few among thousands. On quiet days of a drill the highest statistics rise with the depth just so."""
_EVENLY = 0.25
"""What of a part goes to its slices one as the other; the rest goes by their traffic, since with it grows what a late alarm
costs. The strong half rings a unit or two sooner for it, the weakest 0.7 later."""

ALIKE = 2.0
"""How many slices and series ring at the same noise: they share their messages, and one alarm speaks for all. Less than
what was counted on good days of drills, where of the tolerated alarms a fifth came."""


class Sequential:
    """The statistic of every slice and series under every alternative, carried from minute to minute."""

    def __init__(self, slices: Slices) -> None:
        self._slices = slices
        self._state = np.zeros((0, WIDTH))
        self._since = np.full((0, len(WATCHED)), NEVER)
        self.level: Floats = np.zeros(0)
        """ln A of every slice."""

    def grow(self, before: Ints) -> None:
        """Follow the slices as `Slices.grow` renumbered them."""
        fresh = before < 0
        place = np.where(fresh, 0, before)

        def moved(table: Floats, empty: float) -> Floats:
            if not len(table):
                return np.full((len(before), table.shape[1]), empty, dtype=table.dtype)
            return np.where(fresh[:, None], empty, table[place]).astype(table.dtype)

        self._state, self._since = moved(self._state, 0.0), moved(self._since, NEVER)

    def tolerate(self, false_alarms_per_day: float, traffic: Floats) -> None:
        """Set ln A of every slice, for this many false alarms a day of all together and the usual traffic of each."""
        depth = np.clip(self._slices.depths, 1, len(_PARTS)) - 1
        of_all = traffic / np.maximum(np.bincount(depth, weights=traffic), 1e-9)[depth]
        part = _EVENLY / np.bincount(depth)[depth] + (1 - _EVENLY) * of_all
        self.level = np.log(len(WATCHED) * 1440 / (ALIKE * false_alarms_per_day * _PARTS[depth] * part))

    def step(self, minute: int, sums: Floats) -> None:
        """Take in one minute's log-likelihood ratios of every slice."""
        self._state = _next(self._state, sums)
        self._since = np.where(_above(self._state, self.level), np.minimum(self._since, minute), NEVER)

    def forget(self, slices: Ints) -> None:
        """Begin anew in `slices`: what they hold is explained. A second fault there is seen as soon as it shows by itself."""
        self._state[slices], self._since[slices] = 0.0, NEVER

    def standing(self, minute: int) -> tuple[Ints, Ints, Floats]:
        """The alarms that stand: slice, series, and the logarithm of the statistic."""
        place, watched = np.nonzero(self._since <= minute)
        if self._upstream_waits(minute):
            place, watched = place[watched != FIL], watched[watched != FIL]
        table = self._state.reshape(-1, len(WATCHED), GRID)[place, watched]
        return place, watched, np.log(table.mean(axis=1))

    def since(self, place: int, watched: int) -> int:
        """The minute from which on an alarm has stood."""
        return int(self._since[place, watched])

    def alternative(self, place: int, watched: int) -> int:
        """Which alternative an alarm fits best."""
        return int(self._state[place].reshape(len(WATCHED), GRID)[watched].argmax())

    def _upstream_waits(self, minute: int) -> bool:
        """Whether receipts are under suspicion: fills fall with them, but know no patience and would speak first."""
        since = self._since[:, [REC, DEL, DLY]]
        return bool(((since <= minute) & (since > minute - PATIENCE[REC])).any())


def _next(state: Floats, sums: Floats) -> Floats:
    return np.asarray(np.minimum(np.exp(np.clip(sums, -_STEP, _STEP)) * (1 + state), _MOST))


def _above(state: Floats, level: Floats) -> Bools:
    table = state.reshape(len(state), len(WATCHED), GRID)
    return np.asarray(table[:, :, 0] + table[:, :, 1] + table[:, :, 2] >= GRID * np.exp(level)[:, None])


def seen_ratio(one: Minute, hidden: Bools) -> Floats:
    """A minute's evidence without what is hidden (`[leaf, series]`)."""
    mask = hidden[one.leaf]
    return np.where(np.repeat(mask, GRID, axis=1), 0.0, one.ratio) if mask.any() else one.ratio
