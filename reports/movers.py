"""Which channels moved the day: where the most messages more, or fewer, arrived than at the earlier rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metrics.readings import Reading
from reports.judge import LOOK_N, Place
from reports.readings import Slice

METRIC = "delivery_rate"
_EACH_MAX = 3
_POINTS_MIN = 0.01


@dataclass(frozen=True)
class Mover:
    """A channel, its rate now and then, and how many messages that made: fewer are negative."""

    place: Place
    now: Reading
    before: Reading
    messages: float


def movers(channels: Sequence[Slice]) -> tuple[Mover, ...]:
    """The worst first, then the best; at most three of each, from 50 messages and one point on."""
    found = [mover for one in channels if (mover := _mover(one)) is not None]
    by_size = sorted(found, key=lambda one: (one.messages, one.place))
    worst = [one for one in by_size if one.messages < 0][:_EACH_MAX]
    best = [one for one in reversed(by_size) if one.messages > 0][:_EACH_MAX]
    return (*worst, *best)


def _mover(one: Slice) -> Mover | None:
    figure = one.figures[METRIC]
    before = figure.earlier if figure.earlier.n >= LOOK_N else figure.previous
    now = figure.now
    if now.value is None or before.value is None or min(now.n, before.n) < LOOK_N or not now.settled:
        return None
    moved = now.value - before.value
    if abs(moved) < _POINTS_MIN:
        return None
    return Mover((one.names[0], one.names[1], one.names[2]), now, before, moved * now.n)
