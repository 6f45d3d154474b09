"""What a good day looks like: rates of every leaf, by the hour of each country, and how long receipts take on each route.

A rate is a logit: one for all, corrected by groups and at last by the leaf itself, every correction pulled to zero by a
prior (a penalised logistic regression, fitted group by group). A leaf nobody has met gets its groups' rate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from metrics.detection.cells import COUNTS, DELIVERED, FILLED, RECEIPTS, SUBMITTED, Cells, minute_of
from metrics.detection.channels import DELAYS_MINUTES, WATCHED, ZONE
from metrics.detection.incidents import Scope
from metrics.detection.leaves import Bools, Floats, Ints, Leaves

AGE_MAX = 30
"""Minutes after submission in which something is expected; what comes later counts as not come."""

GROUPS: tuple[tuple[str, ...], ...] = (
    ("country", "purpose"),
    ("provider", "carrier"),
    ("provider", "country"),
    ("country", "carrier", "template"),
    ("country", "region"),
    ("app", "purpose"),
    ("provider", "template"),
)
ROUTE = ("provider", "country", "carrier")
_PRIOR, _PRIOR_LEAF, _PRIOR_HOUR = 4.0, 12.0, 20.0
"""Weight of "no correction", in units of information n·p·(1−p): 4 lets a group stray by about a half in logits."""
_PRIOR_LEVEL, _LEVEL_HALF_LIFE_HOURS, _LEVEL_MOST = 20.0, 6.0, ZONE
_LEVEL_OF = ("provider", "country")
_SWEEPS = 4
_HALF_LIFE_DAYS = 4.0
_LAGS_PRIOR = 200.0
_TRIM = 6.0
_STRAGGLERS = 0.01
"""What of the receipts comes at any age, for the series of delays: else one that comes at an age at which none ever came is
evidence of a slow channel by itself (14 units of it, where an alarm needs 15)."""
_LAGS = (RECEIPTS, DELIVERED, FILLED)


@dataclass(frozen=True)
class Aside:
    """A scope and the minutes [first, end) in which it says nothing of good days: a maintenance window, an incident."""

    scope: Scope
    first: int
    end: int


@dataclass
class History:
    """Counts by hour of submission and leaf, and arrivals by age and route, of the days before now."""

    leaves: Leaves
    days: int
    hours: deque[tuple[int, Ints, Floats]] = field(default_factory=deque)
    lags: deque[tuple[int, Ints, Ints, Floats]] = field(default_factory=deque)

    def add(self, cells: Cells, excluded: Bools | None = None) -> None:
        """Take in cells of any span; leaves that `excluded` names are left out."""
        age = cells.seen - cells.cohort
        held = (age >= 0) & (age < AGE_MAX)
        if excluded is not None:
            held &= ~excluded[cells.leaf]
        if not held.any():
            return
        kept = cells[held]
        of_hour = kept.cohort // 60
        order = np.argsort(of_hour, kind="stable")
        hours, first = np.unique(of_hour[order], return_index=True)
        for hour, rows in zip(hours, np.split(order, first[1:]), strict=True):
            self._add_hour(int(hour), kept[rows])

    def _add_hour(self, hour: int, cells: Cells) -> None:
        met, place = np.unique(cells.leaf, return_inverse=True)
        self.hours.append((hour, met, _added(place, cells.counts, len(met))))
        packed = cells.leaf * AGE_MAX + cells.seen - cells.cohort
        met, place = np.unique(packed, return_inverse=True)
        told = _added(place, cells.counts[:, _LAGS], len(met))
        some = told.sum(axis=1) > 0
        self.lags.append((hour, met[some] // AGE_MAX, met[some] % AGE_MAX, told[some]))

    def add_frames(self, hours: pd.DataFrame, lags: pd.DataFrame, *, hour: int, left_out: Sequence[Aside] = ()) -> None:
        """Take in what the warehouse has counted: rows an hour of submission and leaf, and rows a route and lag."""
        leaf, of_hour = self.leaves.number(hours), (minute_of(hours["cohort_hour"]) // 60 if len(hours) else None)
        table = hours.reindex(columns=list(COUNTS)).to_numpy(dtype=float)
        for one in np.unique(of_hour) if of_hour is not None else ():
            rows = (of_hour == one) & ~self._held_back(left_out, int(one))[leaf]
            self.hours.append((int(one), leaf[rows], table[rows]))
        if len(lags):
            group, keys = self.leaves.groups(*ROUTE)
            stands_for = {keys[number]: row for row, number in reversed(list(enumerate(group)))}
            named = list(zip(*(lags[name] for name in ROUTE), strict=True))
            known = np.array([key in stands_for for key in named]) & (lags["lag_minutes"] < AGE_MAX).to_numpy()
            rows = lags[known]
            leaves = np.array([stands_for[key] for key, held in zip(named, known, strict=True) if held], dtype=np.int64)
            told = rows[["receipts", "delivered", "filled"]].to_numpy(dtype=float)
            self.lags.append((hour, leaves, rows["lag_minutes"].to_numpy(), told))

    def _held_back(self, left_out: Sequence[Aside], hour: int) -> Bools:
        held = np.zeros(len(self.leaves), dtype=bool)
        for one in left_out:
            if one.first < (hour + 1) * 60 and one.end > hour * 60:
                held |= self.leaves.inside(one.scope)
        return held

    def forget(self, before_hour: int) -> None:
        """Drop what is too old to say what is usual."""
        for kept in (self.hours, self.lags):
            while kept and kept[0][0] < before_hour:
                kept.popleft()


def _added(place: Ints, values: Floats, size: int) -> Floats:
    return np.array([np.bincount(place, weights=column, minlength=size) for column in values.T]).T.reshape(
        size, values.shape[1]
    )


@dataclass
class Baseline:
    """Rates as logits `rate[watched, leaf]` plus `hour[watched, group of countries, hour of the day in UTC]`."""

    rate: Floats
    hour: Floats
    country_of: Ints
    route_of: Ints
    arrive: Floats
    """`arrive[watched, route, age]`: the share of what comes at all that comes at this age."""
    verdict_by_age: Floats
    """What the logit of "delivered" is at this age beside its mean, by route: bad news comes late."""
    volume: Floats
    """Submissions a minute, by hour of the day and leaf."""
    dispersion: Floats
    """How many times more than by chance counts scatter, for each series."""
    shares: dict[tuple[int, tuple[str, ...]], dict[tuple[str, ...], float]]
    common: Floats
    routes: dict[tuple[str, ...], int]
    countries: dict[tuple[str, ...], int]
    level: Floats
    """`level[watched, leaf]`: how far the rate has strayed from its baseline of late, in logits."""

    def logits(self, hour: int) -> Floats:
        """The logit of every rate at this hour of the day: `[watched, leaf]`."""
        return self.rate + self.level + self.hour[:, self.country_of, hour]

    def slow(self) -> Floats:
        """`[alternative, route, age]` of receipts that come with an exponential delay on top."""
        return np.array([_delayed(self.arrive[1], minutes) for minutes in DELAYS_MINUTES])

    def grow(self, leaves: Leaves) -> None:
        """Give leaves that are new their groups' rates, and no volume."""
        known = self.rate.shape[1]
        for key in leaves.keys[known:]:
            told = dict(zip(leaves.dimensions, key, strict=True))
            rates = [
                self.common[one]
                + sum(
                    self.shares.get((one, names), {}).get(
                        tuple(told.get(name, "") for name in names if name in told), 0.0
                    )
                    for names in GROUPS
                )
                for one in range(len(WATCHED))
            ]
            self.rate = np.column_stack([self.rate, rates])
            self.level = np.column_stack([self.level, np.zeros(len(WATCHED))])
            country = self.countries.get((told.get("country", ""),), 0)
            route = self.routes.get(tuple(told[name] for name in ROUTE if name in told), 0)
            self.country_of = np.append(self.country_of, country)
            self.route_of = np.append(self.route_of, route)
            self.volume = np.column_stack([self.volume, np.zeros(24)])


def _delayed(arrive: Floats, minutes: float) -> Floats:
    """A lag of whole minutes, with an exponential delay of this mean added before it is rounded down."""
    ages = np.arange(arrive.shape[1])
    passed = 1 - np.exp(-1 / minutes)
    shift = np.where(ages == 0, 1 - minutes * passed, minutes * passed**2 * np.exp(-(ages - 1) / minutes))
    moved = np.array([np.convolve(row, shift)[: len(ages)] for row in arrive])
    return np.asarray(moved / np.maximum(moved.sum(axis=1, keepdims=True), 1e-12))


def fit(history: History, now_hour: int) -> Baseline:
    """The baseline of what `history` holds, recent days weighing more. Hours far out of line are left out."""
    leaves, size = history.leaves, len(history.leaves)
    hour = np.concatenate([np.full(len(one[1]), one[0]) for one in history.hours] or [np.zeros(0, dtype=np.int64)])
    leaf = np.concatenate([one[1] for one in history.hours] or [np.zeros(0, dtype=np.int64)])
    counts = np.concatenate([one[2] for one in history.hours] or [np.zeros((0, 7))])
    weight = 0.5 ** ((now_hour - hour) / 24 / _HALF_LIFE_DAYS)
    countries, country_keys = leaves.groups("country")
    blocks = leaves.groups("provider", "country")[0][leaf] * (24 * 4000) + (hour - hour.min() if len(hour) else hour)
    packed, place = np.unique(leaf * 24 + hour % 24, return_inverse=True)
    rows = _Rows(leaf, hour % 24, countries[leaf], np.unique(blocks, return_inverse=True)[1], packed, place)
    fitted = [_fit_one(leaves, rows, counts[:, one.out_of], counts[:, one.of], weight) for one in WATCHED[:-1]]
    routes, route_keys = leaves.groups(*ROUTE)
    arrive, by_age = _arrivals(history, now_hour, routes, len(route_keys))
    made = Baseline(
        rate=np.array([one.rate for one in fitted] + [fitted[1].rate]).reshape(len(WATCHED), size),
        hour=np.array([one.hour for one in fitted] + [fitted[1].hour]),
        country_of=countries,
        route_of=routes,
        arrive=arrive,
        verdict_by_age=by_age,
        volume=_volume(rows, counts[:, SUBMITTED], hour, weight, size),
        dispersion=np.array([one.dispersion for one in fitted] + [fitted[1].dispersion]),
        shares={(place, names): one.shares[names] for place, one in enumerate(fitted) for names in GROUPS},
        common=np.array([one.common for one in fitted] + [fitted[1].common]),
        routes={key: place for place, key in enumerate(route_keys)},
        countries={key: place for place, key in enumerate(country_keys)},
        level=np.zeros((len(WATCHED), size)),
    )
    made.shares |= {(len(fitted), names): fitted[1].shares[names] for names in GROUPS}
    return made


def follow(baseline: Baseline, history: History, now_hour: int) -> None:
    """Set the level of each provider in each country by the last day, the last hours weighing most: rates drift.

    Hours far out of line are left out, and no level strays further than a fault's mildest alternative.
    """
    late = [one for one in history.hours if one[0] >= now_hour - 24]
    baseline.level = np.zeros_like(baseline.rate)
    if not late:
        return
    hour = np.concatenate([np.full(len(leaf), at) for at, leaf, _ in late])
    leaf, counts = (np.concatenate([one[part] for one in late]) for part in (1, 2))
    weight = 0.5 ** ((now_hour - hour) / _LEVEL_HALF_LIFE_HOURS)
    group, keys = history.leaves.groups(*_LEVEL_OF)
    block = group[leaf] * 25 + (hour - hour.min())
    for place, one in enumerate(WATCHED[:-1]):
        n = counts[:, one.out_of]
        p = _sigmoid(baseline.rate[place, leaf] + baseline.hour[place, baseline.country_of[leaf], hour % 24])
        off, spread = np.minimum(counts[:, one.of], n) - n * p, n * p * (1 - p)
        far = np.abs(np.bincount(block, off)) > _TRIM * np.sqrt(np.maximum(np.bincount(block, spread), 0.5))
        kept = weight * ~far[block]
        pull = np.bincount(group[leaf], off * kept, len(keys))
        step = pull / (np.bincount(group[leaf], spread * kept, len(keys)) + _PRIOR_LEVEL)
        baseline.level[place] = np.clip(step, -_LEVEL_MOST, _LEVEL_MOST)[group]
    baseline.level[-1] = baseline.level[1]


@dataclass(frozen=True)
class _Rows:
    leaf: Ints
    hour: Ints
    country: Ints
    block: Ints
    packed: Ints
    """Each pair of leaf and hour of the day that occurs, as leaf · 24 + hour."""
    place: Ints


@dataclass(frozen=True)
class _Fitted:
    rate: Floats
    hour: Floats
    common: float
    shares: dict[tuple[str, ...], dict[tuple[str, ...], float]]
    dispersion: float


def _fit_one(leaves: Leaves, rows: _Rows, n: Floats, x: Floats, weight: Floats) -> _Fitted:
    """Fit, leave out the hours of a route that are far below it, fit again."""
    x = np.minimum(x, n)
    fitted = _regress(leaves, rows, n * weight, x * weight)
    away = _away(fitted, rows, n, x)
    if (away < -_TRIM).any():
        kept = (away >= -_TRIM)[rows.block] if len(rows.block) else np.zeros(0, dtype=bool)
        fitted = _regress(leaves, rows, n * weight * kept, x * weight * kept)
        away = _away(fitted, rows, n, x)
    usual = away[(np.abs(away) < _TRIM) & (away != 0)]
    dispersion = float(np.clip((usual**2).mean(), 1.0, 3.0)) if len(usual) > 50 else 1.35
    return _Fitted(fitted.rate, fitted.hour, fitted.common, fitted.shares, dispersion)


def _away(fitted: _Fitted, rows: _Rows, n: Floats, x: Floats) -> Floats:
    """Standard deviations between what each block (a route's hour) brought and what was expected of it."""
    p = _sigmoid(fitted.rate[rows.leaf] + fitted.hour[rows.country, rows.hour])
    off = np.bincount(rows.block, weights=x - n * p)
    spread = np.bincount(rows.block, weights=n * p * (1 - p))
    return np.where(spread > 0.5, off / np.sqrt(np.maximum(spread, 0.5)), 0.0)


def _regress(leaves: Leaves, rows: _Rows, n: Floats, x: Floats) -> _Fitted:
    size, (country, named) = len(leaves), leaves.groups("country")
    countries = max(len(named), 1)
    leaf, hour = rows.packed // 24, rows.packed % 24
    n, x = (np.bincount(rows.place, weights=told, minlength=len(leaf)).astype(np.float64) for told in (n, x))
    total = max(float(n.sum()), 1.0)
    mean = float(np.clip(x.sum() / total if n.sum() else 0.95, 1e-4, 1 - 1e-4))
    common = float(np.log(mean / (1 - mean)))
    grouped: dict[tuple[str, ...], tuple[Ints, list[tuple[str, ...]]]] = {
        names: leaves.groups(*names) for names in GROUPS
    }
    places = [(group[leaf], len(keys), _PRIOR) for group, keys in grouped.values()]
    places += [(country[leaf] * 24 + hour, countries * 24, _PRIOR_HOUR), (leaf, size, _PRIOR_LEAF)]
    moved = [np.zeros(length) for _, length, _ in places]
    logit = np.full(len(leaf), common)
    for _ in range(_SWEEPS):
        for which, (group, length, prior) in enumerate(places):
            p = _sigmoid(logit)
            pull = np.bincount(group, weights=x - n * p, minlength=length) - prior * moved[which]
            step: Floats = np.clip(
                pull / (np.bincount(group, weights=n * p * (1 - p), minlength=length) + prior), -2, 2
            )
            moved[which] += step
            logit += step[group]
    rate = common + moved[-1] + np.sum([moved[which][grouped[names][0]] for which, names in enumerate(GROUPS)], axis=0)
    shares = {
        names: dict(zip(grouped[names][1], moved[which].tolist(), strict=True)) for which, names in enumerate(GROUPS)
    }
    return _Fitted(np.clip(rate, -9, 9), moved[-2].reshape(countries, 24), common, shares, 1.0)


def _arrivals(history: History, now_hour: int, routes: Ints, count: int) -> tuple[Floats, Floats]:
    """How arrivals spread over ages for each route, shrunken to its provider and country, and those to all."""
    wide = history.leaves.groups("provider", "country")[0]
    wide_of = np.zeros(max(count, 1), dtype=np.int64)
    if len(routes):
        wide_of[routes] = wide
    table = np.zeros((max(count, 1), AGE_MAX, len(_LAGS)))
    for hour, leaf, age, told in history.lags:
        np.add.at(table, (routes[leaf], age), told * 0.5 ** ((now_hour - hour) / 24 / _HALF_LIFE_DAYS))
    pooled = np.zeros((int(wide_of.max()) + 1, AGE_MAX, len(_LAGS)))
    np.add.at(pooled, wide_of, table)
    every = table.sum(axis=0) + 0.02 * 0.8 ** np.arange(AGE_MAX)[:, None]
    pooled = pooled + _LAGS_PRIOR * every / every.sum(axis=0)
    table = table + _LAGS_PRIOR * (pooled / pooled.sum(axis=1, keepdims=True))[wide_of]
    arrive = table / table.sum(axis=1, keepdims=True)
    shares = np.zeros((len(WATCHED), max(count, 1), AGE_MAX))
    for place, one in enumerate(WATCHED):
        if one.way != "at once":
            shares[place] = arrive[:, :, _LAGS.index(one.of)]
        if one.way == "delay":
            spread = 0.8 ** np.arange(AGE_MAX)
            shares[place] = (1 - _STRAGGLERS) * shares[place] + _STRAGGLERS * spread / spread.sum()
    good = np.clip(table[:, :, 1] / np.maximum(table[:, :, 0], 1e-9), 0.01, 0.995)
    mean = np.clip(table[:, :, 1].sum(axis=1) / table[:, :, 0].sum(axis=1), 0.01, 0.995)[:, None]
    return shares, np.log(good / (1 - good)) - np.log(mean / (1 - mean))


def _volume(rows: _Rows, submitted: Floats, hour: Ints, weight: Floats, size: int) -> Floats:
    """Submissions a minute by hour of the day: of each hour that was counted, recent days weighing more."""
    if not len(hour):
        return np.zeros((24, size))
    seen, first = np.unique(hour, return_index=True)
    covered = np.bincount(seen % 24, weights=weight[first], minlength=24)
    total = np.bincount(rows.hour * size + rows.leaf, weights=submitted * weight, minlength=24 * size).reshape(24, size)
    return np.asarray(total / np.maximum(covered, 1e-9)[:, None] / 60)


def _sigmoid(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)))
