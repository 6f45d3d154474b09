"""Reads the figures of a day from the metrics, each beside the day before and the same weekday a week before.

A figure never travels without its sample size; one that is undefined is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from core.warehouse import Warehouse
from metrics.catalogue import METRICS
from metrics.query import Question, ask
from metrics.readings import Reading
from reports.days import Day

ALL = tuple(one.slug for one in METRICS)
HOURLY = ("third_party_success_rate", "delivery_rate", "verification_success_rate")
"""What the chart shows: the way of a message, from taken over delivered to used."""

_VOLUME = "third_party_success_rate"
"""Its sample is every attempt submitted."""


@dataclass(frozen=True)
class Compared:
    """A reading of the day, and the two it is held against."""

    now: Reading
    day_before: Reading
    week_before: Reading


@dataclass(frozen=True)
class Slice:
    """The ten metrics of what shares the values `names` (of the dimensions asked for, in their order)."""

    names: tuple[str, ...]
    figures: Mapping[str, Compared]

    @property
    def submitted(self) -> Compared:
        """Whose `n` counts the attempts submitted."""
        return self.figures[_VOLUME]


@dataclass(frozen=True)
class Reader:
    """Asks about one day, at one moment."""

    warehouse: Warehouse
    day: Day
    now: datetime
    on_time_seconds: int

    def total(self) -> Slice:
        """Everything submitted on the day; three questions."""
        (found,) = self.slices(())
        return found

    def slices(self, dimensions: tuple[str, ...]) -> tuple[Slice, ...]:
        """What was submitted on the day, split; the largest first. Three questions."""
        today, day_before, week_before = (self._by_names(self.day.plus(back), dimensions) for back in (0, -1, -7))
        nothing = dict.fromkeys(ALL, Reading())
        found = [
            Slice(names, _compared(readings, day_before.get(names, nothing), week_before.get(names, nothing)))
            for names, readings in today.items()
        ]
        return tuple(sorted(found, key=lambda one: (-one.submitted.now.n, one.names)))

    def hours(self) -> pd.DataFrame:
        """The day's hours by provider, for the chart. One question."""
        question = Question(HOURLY, self.day.start, self.day.end, ("provider",), bucket="1h", time_zone=self.day.zone)
        return ask(self.warehouse, question, now=self.now, on_time_seconds=self.on_time_seconds)

    def _by_names(self, day: Day, dimensions: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, Reading]]:
        question = Question(ALL, day.start, day.end, dimensions)
        frame = ask(self.warehouse, question, now=self.now, on_time_seconds=self.on_time_seconds)
        rows = frame.to_dict("records")
        return {
            tuple(str(row[name]) for name in dimensions): {
                slug: Reading(
                    value=_defined(row[slug]),
                    n=int(row[f"{slug}_n"]),
                    settled=bool(row[f"{slug}_settled"]),
                    p95=_defined(row.get(f"{slug}_p95")),
                )
                for slug in ALL
            }
            for row in rows
        }


def _compared(
    now: Mapping[str, Reading], day_before: Mapping[str, Reading], week_before: Mapping[str, Reading]
) -> dict[str, Compared]:
    return {slug: Compared(now[slug], day_before[slug], week_before[slug]) for slug in ALL}


def _defined(value: float | None) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
