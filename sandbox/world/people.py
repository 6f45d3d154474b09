"""What people do with their handsets: read, type, mistype, ask again, give up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ASKS_AGAIN_MAX = 3
COOLDOWN_SECONDS = (30.0, 60.0, 120.0)
"""Nobody can ask again sooner: the service's own defaults (`[code] cooldown_seconds`)."""

_PATIENCE_SECONDS, _PATIENCE_SIGMA = 48.0, 0.45
_READS_SECONDS, _READS_SIGMA = 6.0, 0.7
_TYPES_SECONDS, _TYPES_SIGMA = 7.0, 0.4
_ENTERS = 0.945  # the others had their code and went away
_ASKS_AGAIN = 0.72
_MISTYPES = 0.045
_COMES_BACK = 0.35  # of those who gave up, when the code comes after all


@dataclass(frozen=True)
class People:
    """Habits in columns, one row a person and occasion. Seconds are not scaled."""

    patience_seconds: NDArray[np.float64]  # (n, ASKS_AGAIN_MAX + 1): how long each wait lasts
    asks_again: NDArray[np.bool_]  # (n, ASKS_AGAIN_MAX + 1): whether they ask again after it; never after the last
    reads_seconds: NDArray[np.float64]
    types_seconds: NDArray[np.float64]
    mistypes: NDArray[np.int64]  # wrong tries before the right one, fewer than the service allows
    enters: NDArray[np.bool_]
    comes_back: NDArray[np.bool_]


@dataclass(frozen=True)
class Person:
    """One row of `People`."""

    patience_seconds: tuple[float, ...]
    asks_again: tuple[bool, ...]
    reads_seconds: float
    types_seconds: float
    mistypes: int
    enters: bool
    comes_back: bool


def draw_people(rng: np.random.Generator, count: int) -> People:
    """Habits of `count` people."""
    waits = ASKS_AGAIN_MAX + 1
    patience = _PATIENCE_SECONDS * np.exp(_PATIENCE_SIGMA * rng.standard_normal((count, waits)))
    floor = np.array([*COOLDOWN_SECONDS, COOLDOWN_SECONDS[-1]])
    asks = rng.random((count, waits)) < _ASKS_AGAIN
    asks[:, -1] = False
    return People(
        patience_seconds=np.maximum(patience, floor + 1),
        asks_again=asks,
        reads_seconds=_READS_SECONDS * np.exp(_READS_SIGMA * rng.standard_normal(count)),
        types_seconds=_TYPES_SECONDS * np.exp(_TYPES_SIGMA * rng.standard_normal(count)),
        mistypes=np.minimum(rng.geometric(1 - _MISTYPES, count) - 1, 4),
        enters=rng.random(count) < _ENTERS,
        comes_back=rng.random(count) < _COMES_BACK,
    )


def person_of(people: People, row: int, *, pace: float = 1.0) -> Person:
    """Row `row` as one person, all waits scaled by `pace`."""
    return Person(
        patience_seconds=tuple(float(seconds) * pace for seconds in people.patience_seconds[row]),
        asks_again=tuple(bool(again) for again in people.asks_again[row]),
        reads_seconds=float(people.reads_seconds[row]) * pace,
        types_seconds=float(people.types_seconds[row]) * pace,
        mistypes=int(people.mistypes[row]),
        enters=bool(people.enters[row]),
        comes_back=bool(people.comes_back[row]),
    )
