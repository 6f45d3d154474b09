"""Gathers a quality report: a fixed number of questions about a day, a week or a month that has ended, no rendering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pandas as pd

from core.errors import BadInput, WarehouseRefused
from core.warehouse import Warehouse
from metrics.catalogue import METRICS, Metric
from metrics.detection.deployments import deployed_near
from metrics.detection.incidents import Incident
from metrics.detection.records import incidents_between
from metrics.detection.words import Word
from metrics.operations import availability
from metrics.readings import Reading
from reports.judge import Look, worth_a_look
from reports.movers import Mover, movers
from reports.readings import Reader, Slice
from reports.spans import Span

Figures = Mapping[str, Reading]
"""What a report said, by the slug of the metric."""

Trends = Mapping[tuple[str, ...], Sequence[float | None]]
"""A rate day by day, by the names of a slice."""


@dataclass(frozen=True)
class Restated:
    """A figure of the span before: as its own report had it, and as it stands now."""

    metric: Metric
    then: Reading
    now: Reading


@dataclass(frozen=True)
class Group:
    """The slices of one kind, the largest first, with their trends."""

    dimensions: tuple[str, ...]
    slices: tuple[Slice, ...]
    trends: Trends


@dataclass(frozen=True)
class Report:
    """Everything that is said about `span`, as known at `made_at`.

    `restated` is None when no report of the span before was kept; otherwise it holds the figures that have moved since.
    `incidents` is None where none are recorded at all; `deployed` by their ids what was deployed near their onset; `availability` counts calls of the service, None when not measured.
    """

    span: Span
    made_at: datetime
    on_time_seconds: int
    total: Slice
    groups: tuple[Group, ...] = ()
    channels: tuple[Slice, ...] = ()
    looks: tuple[Look, ...] = ()
    movers: tuple[Mover, ...] = ()
    course: pd.DataFrame | None = None
    incidents: tuple[Incident, ...] | None = None
    deployed: Mapping[str, Sequence[Word]] = field(default_factory=dict)
    availability: Reading | None = None
    restated: tuple[Restated, ...] | None = None
    trend: Sequence[float | None] = field(default_factory=tuple)

    @property
    def is_empty(self) -> bool:
        """Nothing was submitted in it."""
        return self.total.submitted.now.n == 0

    @property
    def figures(self) -> Figures:
        """What it says of the span as a whole, to be kept for the report of the next one."""
        return {slug: figure.now for slug, figure in self.total.figures.items()}


GROUPS = (("provider",), ("country", "carrier"), ("country",))


def gather(
    warehouse: Warehouse, span: Span, *, now: datetime, on_time_seconds: int, of_previous: Figures | None = None
) -> Report:
    """The report of `span`; `of_previous` is what the report of the one before said.

    Raises `BadInput` for a span that has not ended, `WarehouseUnavailable` and `WarehouseRefused`.
    """
    if span.end > now:
        raise BadInput(
            f"{span.title} has not ended in {span.zone}",
            hint=f"a report is made of a {span.noun} that is over; name an earlier --day",
        )
    reader = Reader(warehouse, span, now, on_time_seconds)
    total = reader.total()
    restated = None if of_previous is None else _restated(of_previous, total)
    incidents = _incidents(warehouse, span)
    about = {
        "incidents": incidents,
        "deployed": deployed_near(warehouse, incidents or ()),
        "availability": _availability(warehouse, span),
        "restated": restated,
    }
    if total.submitted.now.n == 0:
        return Report(span, now, on_time_seconds, total, **about)  # type: ignore[arg-type]
    groups = [Group(names, reader.slices(names), reader.trends(names)) for names in GROUPS]
    channels = reader.slices(("provider", "country", "carrier"))
    return Report(
        span=span,
        made_at=now,
        on_time_seconds=on_time_seconds,
        total=total,
        groups=tuple(groups),
        channels=channels,
        looks=worth_a_look(groups[0].slices, groups[1].slices, channels),
        movers=movers(channels),
        course=reader.course(),
        trend=reader.trends(()).get((), ()),
        **about,  # type: ignore[arg-type]
    )


def _incidents(warehouse: Warehouse, span: Span) -> tuple[Incident, ...] | None:
    try:
        found = incidents_between(warehouse, span.start, span.end)
    except WarehouseRefused:
        return None  # a warehouse that was not migrated yet knows no incidents
    return tuple(sorted(found, key=lambda one: (-one.affected, one.onset)))


def _availability(warehouse: Warehouse, span: Span) -> Reading | None:
    try:
        row = availability(warehouse, start=span.start, end=span.end).iloc[0]
    except WarehouseRefused:
        return None  # nor what was measured of the service
    return Reading(float(row["availability"]), int(row["n"])) if row["n"] else None


def _restated(then: Figures, total: Slice) -> tuple[Restated, ...]:
    pairs = [
        Restated(metric, then[metric.slug], total.figures[metric.slug].previous)
        for metric in METRICS
        if metric.slug in then
    ]
    return tuple(one for one in pairs if (one.then.value, one.then.n) != (one.now.value, one.now.n))
