"""Leaves and slices: the finest groups that are counted, and every combination of up to three dimensions over them.

Numbers stand for both, so that the rest of detection is arithmetic on arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metrics.detection.incidents import Scope

DIMENSIONS = ("provider", "country", "carrier", "region", "template", "purpose", "app")

_ASKED = ("app", "purpose")
"""Who asked and what for: combined with one other dimension at most. Few faults need more, and every kind of slice costs
time and raises the threshold for all."""
_APP_WITH = ("", "country", "purpose", "template", "provider")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Key = tuple[str, ...]


class Leaves:
    """The leaves met so far, in the order of their first appearance; each has a number that never changes."""

    def __init__(self, dimensions: Sequence[str] = DIMENSIONS) -> None:
        self.dimensions = tuple(dimensions)
        self.keys: list[Key] = []
        self._number: dict[Key, int] = {}
        self._columns: list[NDArray[np.object_]] = []
        self._groups: dict[tuple[str, ...], tuple[Ints, list[Key]]] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def number(self, frame: pd.DataFrame) -> Ints:
        """The number of each row's leaf; leaves that are new get the next ones."""
        if frame.empty:
            return np.zeros(0, dtype=np.int64)
        packed = np.zeros(len(frame), dtype=np.int64)
        for name in self.dimensions:
            if name in frame:
                codes, size = _coded(frame[name])
                packed = packed * max(1, size) + codes
        met, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
        numbers = np.empty(len(met), dtype=np.int64)
        columns = [frame[name].array if name in frame else None for name in self.dimensions]
        for place in np.argsort(first):  # in the order of appearance
            row = first[place]
            numbers[place] = self._of(
                tuple("" if one is None or pd.isna(one[row]) else str(one[row]) for one in columns)
            )
        return numbers[inverse]

    def _of(self, key: Key) -> int:
        number = self._number.setdefault(key, len(self.keys))
        if number == len(self.keys):
            self.keys.append(key)
            self._columns, self._groups = [], {}
        return number

    def column(self, dimension: str) -> NDArray[np.object_]:
        """The value of every leaf in a dimension."""
        if not self._columns:
            table = np.array(self.keys, dtype=object).reshape(len(self.keys), len(self.dimensions))
            self._columns = [table[:, place] for place in range(len(self.dimensions))]
        return self._columns[self.dimensions.index(dimension)]

    def groups(self, *dimensions: str) -> tuple[Ints, list[Key]]:
        """Leaves grouped by these dimensions: the group of each leaf, and the values of each group."""
        if dimensions not in self._groups:
            places = [self.dimensions.index(name) for name in dimensions if name in self.dimensions]
            keys: dict[Key, int] = {}
            group = [keys.setdefault(tuple(key[place] for place in places), len(keys)) for key in self.keys]
            self._groups[dimensions] = np.array(group, dtype=np.int64), list(keys)
        return self._groups[dimensions]

    def inside(self, scope: Scope) -> Bools:
        """Which leaves a scope holds. A dimension that is not counted here holds all."""
        held = np.ones(len(self.keys), dtype=bool)
        for name, values in scope.items():
            if name in self.dimensions:
                group, keys = self.groups(name)
                held &= np.array([value in values for (value,) in keys], dtype=bool)[group]
        return held


class Slices:
    """Every slice of up to `depth` dimensions that has a leaf. Slices with the same leaves count as one: the shortest.

    `members[leaf]` are the numbers of the leaf's slices, padded with `len(self)`.
    """

    def __init__(self, leaves: Leaves, depth: int = 3) -> None:
        self.leaves = leaves
        self.depth = depth
        self.kinds = [
            kind
            for size in range(depth + 1)
            for kind in combinations(range(len(leaves.dimensions)), size)
            if _worth_it(tuple(leaves.dimensions[place] for place in kind))
        ]
        self.keys: list[tuple[int, Key]] = []
        self.members: Ints = np.zeros((0, len(self.kinds)), dtype=np.int64)
        self.depths: Ints = np.zeros(0, dtype=np.int64)
        self.of_kind: Ints = np.zeros(0, dtype=np.int64)
        self._number: dict[tuple[int, Key], int] = {}
        self._all: list[tuple[int, Key]] = []
        self._raw = np.zeros((0, len(self.kinds)), dtype=np.int64)
        self._short: Ints = np.zeros(0, dtype=np.int64)
        self._kept: Ints = np.zeros(0, dtype=np.int64)
        self._roots: Bools = np.zeros(len(self.kinds), dtype=bool)
        self._steps: list[tuple[Ints, Ints]] = []

    def __len__(self) -> int:
        return len(self.keys)

    def grow(self) -> Ints | None:
        """Take in the leaves that are new. Returns, for each slice now, its number before (-1: it is new), or None."""
        known = len(self._raw)
        if known == len(self.leaves):
            return None
        fresh = np.array([self._slices_of(key) for key in self.leaves.keys[known:]], dtype=np.int64)
        before, had = self._short, len(self._short)
        self._raw = np.vstack([self._raw, fresh])
        self._shorten()
        chosen = np.array([self._number[key] for key in self.keys], dtype=np.int64)
        return np.where(chosen < had, before[np.minimum(chosen, max(had - 1, 0))] if had else -1, -1)

    def scope(self, number: int) -> dict[str, tuple[str, ...]]:
        """A slice as a scope."""
        kind, values = self.keys[number]
        return {self.leaves.dimensions[place]: (value,) for place, value in zip(self.kinds[kind], values, strict=True)}

    def sums(self, leaves: Ints, values: Floats) -> Floats:
        """The sums of `values` (a row a leaf of `leaves`, a column a series) in every slice."""
        into = self._raw[leaves][:, self._roots].ravel()
        size, times = len(self._all), int(self._roots.sum())
        table = np.empty((len(self), values.shape[1]))
        for column, told in enumerate(np.ascontiguousarray(values.T)):
            sums = np.zeros(size)  # a count of nothing is of integers, whatever its weights
            sums += np.bincount(into, weights=np.repeat(told, times), minlength=size)
            for part, whole in self._steps:
                sums += np.bincount(whole, weights=sums[part], minlength=size)
            table[:, column] = sums[self._kept]
        return table

    def _slices_of(self, key: Key) -> list[int]:
        numbers = []
        for kind, places in enumerate(self.kinds):
            named = (kind, tuple(key[place] for place in places))
            if named not in self._number:
                self._number[named] = len(self._all)
                self._all.append(named)
            numbers.append(self._number[named])
        return numbers

    def _shorten(self) -> None:
        """Of slices with the same leaves keep the one of fewest dimensions, and rather one whose values have names."""
        mark = np.random.default_rng(20_261_125).integers(1, 2**63, size=len(self._raw), dtype=np.uint64)
        marks = np.zeros(len(self._all), dtype=np.uint64)
        np.add.at(marks, self._raw, mark[:, None])
        depths = [2 * len(values) + ("" in values) for _, values in self._all]
        order = np.lexsort(([kind for kind, _ in self._all], depths))
        _, first, inverse = np.unique(marks[order], return_index=True, return_inverse=True)
        kept = order[first]
        rank = np.argsort(np.argsort(kept))
        self._short = np.empty(len(self._all), dtype=np.int64)
        self._short[order] = rank[inverse]
        self.keys = [self._all[number] for number in np.sort(kept)]
        is_kept = np.zeros(len(self._all), dtype=bool)
        is_kept[kept] = True
        self.members = np.where(is_kept[self._raw], self._short[self._raw], len(self.keys))
        self._kept = np.sort(kept)
        self._plan()
        kinds = np.array([kind for kind, _ in self.keys], dtype=np.int64)
        self.depths = np.array([len(self.kinds[kind]) for kind in kinds], dtype=np.int64)
        self.of_kind = np.bincount(kinds, minlength=len(self.kinds))[kinds]

    def _plan(self) -> None:
        """How sums are made: the widest kinds from leaves, every other from the smallest kind that has one dimension more."""
        counted = [len(np.unique(column)) for column in self._raw.T]
        steps: dict[int, list[tuple[Ints, Ints]]] = {}
        for kind, places in enumerate(self.kinds):
            finer = [
                other
                for other, more in enumerate(self.kinds)
                if len(more) == len(places) + 1 and set(places) < set(more)
            ]
            self._roots[kind] = not finer
            if finer:
                parent = min(finer, key=lambda one: counted[one])
                part, first = np.unique(self._raw[:, parent], return_index=True)
                steps.setdefault(len(places), []).append((part, self._raw[first, kind]))
        self._steps = [
            (np.concatenate([one for one, _ in steps[size]]), np.concatenate([one for _, one in steps[size]]))
            for size in sorted(steps, reverse=True)
        ]


def _worth_it(names: tuple[str, ...]) -> bool:
    if "app" in names:
        return len(names) <= 2 and next((name for name in names if name != "app"), "") in _APP_WITH
    return "purpose" not in names or len(names) <= 2


def _coded(column: pd.Series) -> tuple[Ints, int]:
    """Numbers for the values of a column, and how many there are; what is missing is a value too."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy().astype(np.int64) + 1, len(column.cat.categories) + 1
    codes, unique = pd.factorize(column, use_na_sentinel=False)
    return codes.astype(np.int64), len(unique)
