"""Tells a change from chance, and finds the channels worth a look; refuses to judge samples too small to say anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from metrics.catalogue import METRICS, Metric
from metrics.readings import Reading, verdict
from reports.readings import Compared, Slice

Against = Literal["previous", "earlier"]
Place = tuple[str, str, str]
"""Provider, country and carrier; a provider or a carrier as a whole has '*' for the rest."""

LOOK_N, LOOK_DROP = 50, 0.02
"""A channel is judged from so many attempts on, and is worth a look from two points on: less is not worth a morning."""

_CONCENTRATED = 0.6

RATIOS = tuple(one for one in METRICS if one.unit == "ratio")


@dataclass(frozen=True)
class Finding:
    """A metric of a place that is worse than it was. `lost` is how many more of its sample went wrong than would have."""

    place: Place
    metric: Metric
    now: Reading
    before: Reading
    against: Against
    lost: float


@dataclass(frozen=True)
class Look:
    """A place worth a look: what is worst there, and which other metrics are worse beside it."""

    worst: Finding
    others: tuple[Metric, ...]

    @property
    def place(self) -> Place:
        """Where to look."""
        return self.worst.place


def worth_a_look(providers: Sequence[Slice], carriers: Sequence[Slice], channels: Sequence[Slice]) -> tuple[Look, ...]:
    """The places that are worse than the same weekday a week before (or, without one, than the day before).

    A provider, a carrier, or one carrier over one provider: whichever tells the most with the fewest lines. Those
    where most went wrong come first.
    """
    places = _placed(providers, carriers, channels)
    judged = [
        (metric, place, one) for place, one in places for metric in RATIOS if _reference(one.figures[metric.slug])
    ]
    findings = [
        finding
        for metric, place, one in judged
        if (finding := _finding(metric, place, one.figures[metric.slug], judged_together=len(judged)))
    ]
    kept = [
        finding
        for metric in RATIOS
        for finding in _told_once(
            [one for one in findings if one.metric is metric], {place for other, place, _ in judged if other is metric}
        )
    ]
    return _by_place(kept)


def _placed(
    providers: Iterable[Slice], carriers: Iterable[Slice], channels: Iterable[Slice]
) -> list[tuple[Place, Slice]]:
    return [
        *(((one.names[0], "*", "*"), one) for one in providers),
        *((("*", one.names[0], one.names[1]), one) for one in carriers),
        *(((one.names[0], one.names[1], one.names[2]), one) for one in channels),
    ]


def _reference(figure: Compared) -> Against | None:
    if figure.now.n < LOOK_N or not figure.now.settled:
        return None
    if figure.earlier.n >= LOOK_N:
        return "earlier"  # the day before may be a Sunday
    return "previous" if figure.previous.n >= LOOK_N else None


def _finding(metric: Metric, place: Place, figure: Compared, *, judged_together: int) -> Finding | None:
    against = _reference(figure)
    if against is None:
        return None
    before = figure.earlier if against == "earlier" else figure.previous
    if verdict(metric, figure.now, before, judged_together=judged_together) != "worse":
        return None
    assert figure.now.value is not None
    assert before.value is not None
    drop = abs(figure.now.value - before.value)
    if drop < LOOK_DROP:
        return None
    return Finding(place, metric, figure.now, before, against, lost=drop * figure.now.n)


def _told_once(findings: Sequence[Finding], judged: set[Place]) -> list[Finding]:
    """Of one metric: a provider or carrier as a whole, unless a few of its channels explain it; then those."""
    wide = [one for one in findings if "*" in one.place and not _is_concentrated(one, findings, judged)]
    narrow = [
        one for one in findings if "*" not in one.place and not any(_contains(place.place, one.place) for place in wide)
    ]
    return wide + narrow


def _is_concentrated(wide: Finding, findings: Sequence[Finding], judged: set[Place]) -> bool:
    inner = [place for place in judged if "*" not in place and _contains(wide.place, place)]
    hit = [one for one in findings if one.place in inner]
    few = len(hit) * 2 < len(inner) or len(inner) == 1
    return few and sum(one.lost for one in hit) >= _CONCENTRATED * wide.lost


def _contains(wide: Place, narrow: Place) -> bool:
    return all(name in ("*", other) for name, other in zip(wide, narrow, strict=True))


def _by_place(findings: Iterable[Finding]) -> tuple[Look, ...]:
    grouped: dict[Place, list[Finding]] = {}
    for finding in sorted(findings, key=lambda one: -one.lost):
        grouped.setdefault(finding.place, []).append(finding)
    return tuple(Look(first, tuple(one.metric for one in rest)) for first, *rest in grouped.values())
