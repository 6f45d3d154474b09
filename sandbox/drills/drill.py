"""The drill itself: weeks of one world, drawn day by day from a seed, with the labels of what was done to it.

`Drill(seed).attempts` is a frame with a row an attempt, sorted by `submitted_at`, and the columns of the warehouse table
`attempts` under their names there:

- `submitted_at`, `receipt_at` (first receipt of any kind), `delivered_at`, `failed_at`, `filled_at` (its own code was
  entered), and on the row with `attempt` 1 only `approved_at`, `resent_at`, `first_check_at`: datetime64[ms], UTC
  without a zone, NaT where it never happened. A fact is known from its time on and not before.
- `provider, carrier, country, region, app, purpose, template, category, cause, outcome, outcome_class, outcome_code,
  failure_class, failure_code`: categories of text, "" for none. `carrier` is the one that the prefix tells; the
  United States tell none. The failure is known from `failed_at` on, the outcome from `submitted_at` on.
- `attempt`: int8 from 1. `first_check_right`: bool, meaningless while `first_check_at` is NaT. Codes that the sender
  made (app `ride`) are filled and approved by its word, and never checked by us.
- `request`: int64, the same for the attempts of a request. `phone_hash`: uint64, the same for one person.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from sandbox.drills.asking import ask
from sandbox.drills.frames import Columns, columns_of, frame_of, phones_of
from sandbox.drills.happenings import Happening, draw_happenings, volume_of
from sandbox.drills.labels import Label, tier_of
from sandbox.drills.weather import Weather
from sandbox.world.lives import live_through

if TYPE_CHECKING:
    import pandas as pd

VOLUMES: Final = {"small": 120.0, "large": 480.0}
"""Requests a minute in the mean of a quiet week; a sixth or so more attempts come of them."""

START: Final = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday; the clocks of the United States change in the first week."""

_DAY = timedelta(days=1)


class Drill:
    """One drawn world from `start` to `end`; faults lie in [`test_start`, `end`), benign events anywhere.

    The same arguments give the same frame and labels. `attempts` goes on until all that was asked for before `end` has
    happened: some facts are later. Raises `ValueError` when so many faults find no room.
    """

    attempts: pd.DataFrame
    labels: list[Label]

    def __init__(
        self,
        seed: int,
        *,
        volume: str = "small",
        rate_per_minute: float | None = None,
        baseline_days: int = 14,
        test_days: int = 7,
        faults: int = 40,
        start: datetime = START,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self.seed = seed
        self.rate_per_minute = VOLUMES[volume] if rate_per_minute is None else rate_per_minute
        self.start = start
        self.test_start = start + baseline_days * _DAY
        self.end = self.test_start + test_days * _DAY
        self.happenings = draw_happenings(
            np.random.default_rng([seed, 1]),
            start=start.timestamp(),
            test_start=self.test_start.timestamp(),
            end=self.end.timestamp(),
            rate_per_minute=self.rate_per_minute,
            faults=faults,
        )
        self._draw(progress)

    def _draw(self, progress: Callable[[int, int], None]) -> None:
        weather = Weather(
            np.random.default_rng([self.seed, 2]),
            self.happenings,
            start=self.start.timestamp(),
            end=self.end.timestamp(),
        )
        toll = _Toll(self.happenings)
        days = (self.end - self.start) // _DAY
        parts: list[Columns] = []
        requests = 0
        for day in range(days):
            progress(day, days)
            columns, asked = self._day(weather, toll, day, first_request=requests)
            parts.append(columns)
            requests += asked
        self.attempts = frame_of(parts)
        self.labels = [toll.label(happening, self.rate_per_minute) for happening in self.happenings]
        progress(days, days)

    def _day(self, weather: Weather, toll: _Toll, day: int, *, first_request: int) -> tuple[Columns, int]:
        rng = np.random.default_rng([self.seed, 3, day])
        begin = (self.start + day * _DAY).timestamp()
        asked = ask(
            rng, self.happenings, start=begin, end=begin + _DAY.total_seconds(), rate_per_minute=self.rate_per_minute
        )
        weather.begin_stretch()
        past = live_through(weather, rng, asked.requests)
        phones = phones_of(rng, asked.requests, seed=self.seed)
        for row, happening in enumerate(self.happenings):
            harm = weather.harm[happening.id]
            harmed = [past.attempts.request[rows] for rows in harm.attempts] + harm.requests
            if happening.kind == "pumping":
                harmed.append(past.attempts.request[asked.machine[past.attempts.request] == row])
            for requests in harmed:
                toll.add(happening, phones[requests])
        return columns_of(past, phones, first_request=first_request), len(asked.requests.at)


class _Toll:
    """What the faults have cost so far."""

    def __init__(self, happenings: list[Happening]) -> None:
        self._messages = {happening.id: 0 for happening in happenings}
        self._people: dict[str, set[int]] = {happening.id: set() for happening in happenings}

    def add(self, happening: Happening, phones: np.typing.NDArray[np.uint64]) -> None:
        """Messages that fared worse, by whom they were for."""
        self._messages[happening.id] += len(phones)
        self._people[happening.id].update(np.unique(phones).tolist())

    def label(self, happening: Happening, rate_per_minute: float) -> Label:
        """The happening with its toll."""
        volume = volume_of(happening, rate_per_minute)
        return Label(
            id=happening.id,
            kind=happening.kind,
            benign=happening.benign,
            scope={name: list(values) for name, values in happening.scope.values.items()},
            start=datetime.fromtimestamp(happening.start, UTC),
            end=datetime.fromtimestamp(happening.end, UTC),
            depth=round(happening.depth, 3),
            ramp_minutes=round(happening.ramp_seconds / 60, 1),
            volume_per_minute=round(volume, 2),
            tier=tier_of(volume),
            floor_minutes=round(happening.floor_minutes, 2),
            people=len(self._people[happening.id]),
            messages=self._messages[happening.id],
        )
