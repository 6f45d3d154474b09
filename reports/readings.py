"""Reads the figures of a span from the metrics, each beside the one before and an earlier one of its kind.

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
from reports.spans import Span

ALL = tuple(one.slug for one in METRICS)
HOURLY = ("third_party_success_rate", "delivery_rate", "verification_success_rate")
"""What the chart shows: the way of a message, from taken over delivered to used."""

TREND = "delivery_rate"
"""What the small charts show."""

_VOLUME = "third_party_success_rate"
"""Its sample is every attempt submitted."""


@dataclass(frozen=True)
class Compared:
    """A reading of the span, and the two it is held against."""

    now: Reading
    previous: Reading
    earlier: Reading


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
    """Asks about one span, at one moment."""

    warehouse: Warehouse
    span: Span
    now: datetime
    on_time_seconds: int

    def total(self) -> Slice:
        """Everything submitted in the span; three questions."""
        (found,) = self.slices(())
        return found

    def slices(self, dimensions: tuple[str, ...]) -> tuple[Slice, ...]:
        """What was submitted in the span, split; the largest first. Three questions."""
        spans = (self.span, self.span.previous, self.span.earlier)
        today, previous, earlier = (self._by_names(one, dimensions) for one in spans)
        nothing = dict.fromkeys(ALL, Reading())
        found = [
            Slice(names, _compared(readings, previous.get(names, nothing), earlier.get(names, nothing)))
            for names, readings in today.items()
        ]
        return tuple(sorted(found, key=lambda one: (-one.submitted.now.n, one.names)))

    def course(self) -> pd.DataFrame:
        """The hours of a day, or the days of what is longer, by provider, for the chart. One question."""
        return self._ask(HOURLY, self.span.start, ("provider",), self.span.bucket)

    def trends(self, dimensions: tuple[str, ...]) -> dict[tuple[str, ...], list[float | None]]:
        """The rate that `TREND` names, day by day up to the end of the span, for each value; None for a day without."""
        last = self.span.next_day.plus(-1)
        days = [last.plus(-back) for back in reversed(range(self.span.trend_days))]
        frame = self._ask((TREND,), days[0].start, dimensions, "1d")
        values: dict[tuple[str, ...], dict[object, float | None]] = {}
        for row in frame.to_dict("records"):
            names = tuple(str(row[name]) for name in dimensions)
            values.setdefault(names, {})[row["bucket"].date()] = _defined(row[TREND])
        return {names: [found.get(day.date) for day in days] for names, found in values.items()}

    def _ask(self, slugs: tuple[str, ...], start: datetime, dimensions: tuple[str, ...], bucket: str) -> pd.DataFrame:
        question = Question(slugs, start, self.span.end, dimensions, bucket=bucket, time_zone=self.span.zone)
        return ask(self.warehouse, question, now=self.now, on_time_seconds=self.on_time_seconds)

    def _by_names(self, span: Span, dimensions: tuple[str, ...]) -> dict[tuple[str, ...], dict[str, Reading]]:
        question = Question(ALL, span.start, span.end, dimensions)
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
    now: Mapping[str, Reading], previous: Mapping[str, Reading], earlier: Mapping[str, Reading]
) -> dict[str, Compared]:
    return {slug: Compared(now[slug], previous[slug], earlier[slug]) for slug in ALL}


def _defined(value: float | None) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
