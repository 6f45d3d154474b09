"""Gathers the daily quality report: a fixed number of questions about a day that has ended, no rendering."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from core.errors import BadInput
from core.warehouse import Warehouse
from metrics.catalogue import METRICS, Metric
from metrics.readings import Reading
from reports.days import Day
from reports.judge import Look, worth_a_look
from reports.readings import Reader, Slice

Figures = Mapping[str, Reading]
"""What a report said, by the slug of the metric."""


@dataclass(frozen=True)
class Restated:
    """A figure of the day before: as its own report had it, and as it stands now."""

    metric: Metric
    then: Reading
    now: Reading


@dataclass(frozen=True)
class DailyReport:
    """Everything that is said about `day`, as known at `made_at`.

    `restated` is None when no report of the day before was kept; otherwise it holds the figures that have moved since.
    """

    day: Day
    made_at: datetime
    on_time_seconds: int
    total: Slice
    providers: tuple[Slice, ...] = ()
    carriers: tuple[Slice, ...] = ()
    looks: tuple[Look, ...] = ()
    hours: pd.DataFrame | None = None
    restated: tuple[Restated, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing was submitted on the day."""
        return self.total.submitted.now.n == 0

    @property
    def figures(self) -> Figures:
        """What it says of the day as a whole, to be kept for the report of the day after."""
        return {slug: figure.now for slug, figure in self.total.figures.items()}


def gather(
    warehouse: Warehouse, day: Day, *, now: datetime, on_time_seconds: int, of_day_before: Figures | None = None
) -> DailyReport:
    """The report of `day`; `of_day_before` is what the report of the day before said.

    Raises `BadInput` for a day that has not ended, `WarehouseUnavailable` and `WarehouseRefused`.
    """
    if day.end > now:
        raise BadInput(
            f"{day.title} has not ended in {day.zone}",
            hint="a report is made of a day that is over; name an earlier --day",
        )
    reader = Reader(warehouse, day, now, on_time_seconds)
    total = reader.total()
    restated = None if of_day_before is None else _restated(of_day_before, total)
    if total.submitted.now.n == 0:
        return DailyReport(day, now, on_time_seconds, total, restated=restated)
    providers, carriers = reader.slices(("provider",)), reader.slices(("country", "carrier"))
    channels = reader.slices(("provider", "country", "carrier"))
    return DailyReport(
        day=day,
        made_at=now,
        on_time_seconds=on_time_seconds,
        total=total,
        providers=providers,
        carriers=carriers,
        looks=worth_a_look(providers, carriers, channels),
        hours=reader.hours(),
        restated=restated,
    )


def _restated(then: Figures, total: Slice) -> tuple[Restated, ...]:
    pairs = [
        Restated(metric, then[metric.slug], total.figures[metric.slug].day_before)
        for metric in METRICS
        if metric.slug in then
    ]
    return tuple(one for one in pairs if (one.then.value, one.then.n) != (one.now.value, one.now.n))
