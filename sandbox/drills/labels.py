"""What was done to a drill: the truth that a detector is judged by."""

from __future__ import annotations

from datetime import datetime

import msgspec

TIERS = ("under 5", "5 to 20", "20 to 100", "100 and more")
"""Requests a minute in the scope."""

_BOUNDS = (5.0, 20.0, 100.0)


def tier_of(volume_per_minute: float) -> str:
    """The tier of a scope of that volume."""
    return TIERS[sum(volume_per_minute >= bound for bound in _BOUNDS)]


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """One fault or benign event of a drill; times are aware UTC, half-open.

    `scope` maps a dimension to the values that are touched; a dimension that is missing means all of its values.
    `volume_per_minute` is what the scope carries in a healthy world at that time of day, `tier` its class.
    `depth` is the share that is lost at full strength (of a slow channel: how many times as long; of a pumping attack, a
    burst, a sale or a holiday: how many times the usual traffic), reached `ramp_minutes` after `start`.

    `messages` counts the attempts that fared worse than in the same world, drawn with the same random numbers, without
    the fault: not accepted, not arrived, without a final receipt, delivered only after 60 seconds, sent to a machine,
    or, where our own verification is broken, right codes called wrong. `people` counts the different phone hashes
    among them. Both are 0 for benign events, whatever they look like.

    `floor_minutes` is about how long a detector must take that knows kind, scope and start: evidence is gathered at the
    rate of volume × Kullback-Leibler divergence, and a false alarm is to be rare. Faults that nobody could see within
    half their length are not drawn.
    """

    id: str
    kind: str
    benign: bool
    scope: dict[str, list[str]]
    start: datetime
    end: datetime
    depth: float
    ramp_minutes: float
    volume_per_minute: float
    tier: str
    floor_minutes: float
    people: int
    messages: int
