"""Log-likelihood ratios without waiting: what every cohort still outstanding says this minute, by coming or by not coming.

Of a cohort of age a with R attempts outstanding, dx come now. The healthy hazard is h0 = p·f(a) / (1 − p·F(a−1)), the
degraded one h1 the same with p fallen (or with f delayed); the ratio dx·ln(h1/h0) + (R−dx)·ln((1−h1)/(1−h0))
is divided by the over-dispersion and adds up over cohorts, leaves and minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.detection.baseline import AGE_MAX, Baseline
from metrics.detection.cells import ACCEPTED, CHECKS, COUNTS, RECEIPTS, SUBMITTED, Cells
from metrics.detection.channels import (
    ACC,
    DEL,
    DLY,
    FIL,
    GRID,
    LOSSES,
    REC,
    RGT,
    SMALLEST_DROP,
    VER,
    WATCHED,
    WIDTH,
    ZONE,
    columns,
)
from metrics.detection.leaves import Floats, Ints

_TINY = 1e-7
TALLIES = 12
"""Columns of `Minute.tally`: expected and observed of each of the five rates, then receipts within a minute (expected, observed)."""
T_ACC, T_REC, T_DEL, T_FIL, T_RGT, T_TIMELY = range(6)
TALLY_OF = {ACC: T_ACC, REC: T_REC, DEL: T_DEL, VER: T_DEL, FIL: T_FIL, RGT: T_RGT, DLY: T_TIMELY}


@dataclass(frozen=True)
class Minute:
    """What one minute says of the leaves in `leaf`: `ratio` all of it, `young` of recent cohorts, and plain counts.

    `tally[:, 2k]` is expected and `tally[:, 2k+1]` observed; `volume` is submitted, accepted, first checks.
    """

    minute: int
    leaf: Ints
    ratio: Floats
    young: Floats
    tally: Floats
    volume: Floats


class Cohorts:
    """The cohorts of the last hour, one row a (minute of submission, leaf), whatever order they arrive in."""

    def __init__(self) -> None:
        self._size = 0
        self._leaf = np.zeros(1024, dtype=np.int64)
        self._cohort = np.zeros(1024, dtype=np.int64)
        self._counts = np.zeros((1024, len(COUNTS)))
        self._came = np.zeros((1024, len(COUNTS)))
        self._place = np.full((0, AGE_MAX), -1, dtype=np.int64)

    def take(self, minute: int, cells: Cells, leaves: int) -> None:
        """Put in what arrived in this minute. Cohorts older than an hour have settled: their rows are passed over."""
        self._drop(minute)
        if leaves > len(self._place):
            more = np.full((max(leaves, 2 * len(self._place)) - len(self._place), AGE_MAX), -1, dtype=np.int64)
            self._place = np.vstack([self._place, more])
        age = minute - cells.cohort
        cells = cells[(age >= 0) & (age < AGE_MAX)]
        rows = self._rows(cells)
        self._came[: self._size] = 0.0
        np.add.at(self._came, rows, cells.counts)
        np.add.at(self._counts, rows, cells.counts)

    def _rows(self, cells: Cells) -> Ints:
        slot = cells.cohort % AGE_MAX
        rows = self._place[cells.leaf, slot]
        fresh = rows < 0
        if fresh.any():
            packed = np.unique(cells.leaf[fresh] * AGE_MAX + slot[fresh])
            numbers = self._size + np.arange(len(packed))
            self._reserve(self._size + len(packed))
            self._place[packed // AGE_MAX, packed % AGE_MAX] = numbers
            rows = self._place[cells.leaf, slot]
            self._leaf[rows[fresh]] = cells.leaf[fresh]
            self._cohort[rows[fresh]] = cells.cohort[fresh]
            self._counts[numbers] = 0.0
            self._size += len(packed)
        return rows

    def _reserve(self, size: int) -> None:
        while size > len(self._leaf):
            self._leaf = np.concatenate([self._leaf, np.zeros_like(self._leaf)])
            self._cohort = np.concatenate([self._cohort, np.zeros_like(self._cohort)])
            self._counts = np.vstack([self._counts, np.zeros_like(self._counts)])
            self._came = np.vstack([self._came, np.zeros_like(self._came)])

    def _drop(self, minute: int) -> None:
        size = self._size
        kept = self._cohort[:size] > minute - AGE_MAX
        if kept.all():
            return
        gone = ~kept
        self._place[self._leaf[:size][gone], self._cohort[:size][gone] % AGE_MAX] = -1
        self._size = int(kept.sum())
        self._leaf[: self._size] = self._leaf[:size][kept]
        self._cohort[: self._size] = self._cohort[:size][kept]
        self._counts[: self._size] = self._counts[:size][kept]
        self._place[self._leaf[: self._size], self._cohort[: self._size] % AGE_MAX] = np.arange(self._size)

    def live(self) -> tuple[Ints, Ints, Floats, Floats]:
        """Leaf, minute of submission, counts so far and counts of this minute, row by row."""
        size = self._size
        return self._leaf[:size], self._cohort[:size], self._counts[:size], self._came[:size]


class Odds:
    """The tables that evidence is made with, for one baseline and one hour of the day."""

    def __init__(self, baseline: Baseline, hour: int) -> None:
        self.healthy = _sigmoid(baseline.logits(hour))
        self.degraded = _fallen(baseline.logits(hour))
        self.verdict = baseline.logits(hour)[VER]
        self.by_age = baseline.verdict_by_age
        self.route = baseline.route_of
        self.arrive = baseline.arrive
        self.before = np.cumsum(baseline.arrive, axis=2) - baseline.arrive
        self.slow = baseline.slow()
        self.slow_before = np.cumsum(self.slow, axis=2) - self.slow
        self.spread = baseline.dispersion


def judge(minute: int, cohorts: Cohorts, odds: Odds) -> Minute:
    """What this minute says, leaf by leaf."""
    leaf, cohort, counts, came = cohorts.live()
    there = np.bincount(leaf) > 0
    met, place = np.flatnonzero(there), (np.cumsum(there) - 1)[leaf]
    age = minute - cohort
    ratio, young = np.zeros((len(met), WIDTH)), np.zeros((len(met), WIDTH))
    for which, one in enumerate(WATCHED):
        if one.way == "at once":
            rows, told = _at_once(which, leaf, age, came, odds)
        else:
            rows, told = _hazard(which, leaf, age, counts, came, odds)
        told /= odds.spread[which]
        _add(ratio, which, place[rows], told)
        fresh = age[rows] <= one.young
        _add(
            young,
            which,
            place[rows][fresh] if one.way != "at once" else place[rows],
            told[fresh] if one.way != "at once" else told,
        )
    tally = _tally(leaf, age, counts, came, odds)
    volume = came[:, (SUBMITTED, ACCEPTED, CHECKS)]
    return Minute(minute, met, ratio, young, _by_leaf(place, tally, len(met)), _by_leaf(place, volume, len(met)))


def _at_once(which: int, leaf: Ints, age: Ints, came: Floats, odds: Odds) -> tuple[Ints, Floats]:
    one = WATCHED[which]
    rows = np.nonzero(came[:, one.out_of] > 0)[0]
    n, x = came[rows, one.out_of], np.minimum(came[rows, one.of], came[rows, one.out_of])
    healthy, degraded = odds.healthy[which, leaf[rows]], odds.degraded[which, leaf[rows]]
    if which == VER:
        logit = odds.verdict[leaf[rows]] + odds.by_age[odds.route[leaf[rows]], age[rows]]
        healthy, degraded = _sigmoid(logit), _fallen(logit)
    return rows, _log_ratio(x, n, np.clip(healthy, _TINY, 1 - _TINY), degraded)


def _hazard(which: int, leaf: Ints, age: Ints, counts: Floats, came: Floats, odds: Odds) -> tuple[Ints, Floats]:
    one = WATCHED[which]
    outstanding = counts[:, one.out_of] - counts[:, one.of] + came[:, one.of]
    rows = np.nonzero(outstanding > 0)[0]
    at, ages = leaf[rows], age[rows]
    dx = np.minimum(came[rows, one.of], outstanding[rows])
    route = odds.route[at]
    arrive, before = odds.arrive[which, route, ages], odds.before[which, route, ages]
    p = odds.healthy[which, at]
    healthy = _rate(p, arrive, before)
    if one.way == "delay":
        degraded = _rate(p[:, None], odds.slow[:, route, ages].T, odds.slow_before[:, route, ages].T)
    else:
        degraded = _rate(odds.degraded[which, at], arrive[:, None], before[:, None])
    return rows, _log_ratio(dx, outstanding[rows], healthy, degraded)


def _rate(p: Floats, arrive: Floats, before: Floats) -> Floats:
    return np.asarray(np.clip(p * arrive / np.maximum(1 - p * before, 1e-6), _TINY, 1 - 1e-4))


def _log_ratio(x: Floats, n: Floats, healthy: Floats, degraded: Floats) -> Floats:
    degraded = np.clip(degraded, _TINY, 1 - _TINY)
    gone, kept = np.log(healthy)[:, None], np.log1p(-healthy)[:, None]
    return np.asarray(x[:, None] * (np.log(degraded) - gone) + (n - x)[:, None] * (np.log1p(-degraded) - kept))


def _add(table: Floats, which: int, place: Ints, told: Floats) -> None:
    for column in range(GRID):
        table[:, columns(which).start + column] += np.bincount(place, weights=told[:, column], minlength=len(table))


def _by_leaf(place: Ints, values: Floats, size: int) -> Floats:
    return np.array([np.bincount(place, weights=column, minlength=size) for column in values.T]).T.reshape(
        size, values.shape[1]
    )


def _tally(leaf: Ints, age: Ints, counts: Floats, came: Floats, odds: Odds) -> Floats:
    """What a good day would have brought this minute, whatever became of the cohorts so far; and what came."""
    told = np.zeros((len(leaf), TALLIES))
    route = odds.route[leaf]
    for which, place in ((ACC, T_ACC), (REC, T_REC), (DEL, T_DEL), (FIL, T_FIL), (RGT, T_RGT)):
        one = WATCHED[which]
        due = came[:, one.out_of] if one.way == "at once" else counts[:, one.out_of] * odds.arrive[which, route, age]
        told[:, 2 * place] = due * odds.healthy[which, leaf]
        told[:, 2 * place + 1] = came[:, one.of]
    # P(within 60 s) lies between P(lag = 0) and P(lag <= 1) of a lag in whole minutes: the mean of the two
    timely = np.select([age == 0, age == 1], [1.0, 0.5], default=0.0)
    told[:, 2 * T_TIMELY] = told[:, 2 * T_REC] * timely
    told[:, 2 * T_TIMELY + 1] = came[:, RECEIPTS] * timely
    return told


def _fallen(logit: Floats) -> Floats:
    """The rate under each alternative, in a last axis more."""
    healthy = _sigmoid(logit)[..., None]
    fallen = np.concatenate([_sigmoid(logit - ZONE)[..., None], healthy * (1 - np.array(LOSSES))], axis=-1)
    return np.asarray(np.maximum(np.minimum(fallen, healthy - SMALLEST_DROP), 1e-4))


def _sigmoid(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)))
