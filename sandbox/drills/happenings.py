"""What happens in a drill and when: faults of every kind and benign events, drawn by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from core.events import DIMENSIONS
from sandbox.drills.labels import TIERS, tier_of
from sandbox.drills.scopes import Scope
from sandbox.world import COUNTRIES, PROVIDERS, areas
from sandbox.world.fates import Floats
from sandbox.world.places import Area

FAULT_KINDS = (
    "provider-outage",
    "receipts-stop",
    "black-hole",
    "template-blocked",
    "delivery-drop",
    "slow-channel",
    "fake-receipts",
    "pumping",
    "verification-broken",
)
"""The names of the faults; a detector calls them the same."""

BENIGN_KINDS = (
    "marketing-burst",
    "flash-sale",
    "holiday",
    "routing-change",
    "new-template",
    "receipt-stall",
    "slow-drift",
)

DAY = 86_400.0
_QUIET_SECONDS = 45 * 60.0  # between two faults whose scopes meet
_PHI, _LN_A = 1.35, 14.0  # over-dispersion and threshold of the floor's detector
_TIER_WEIGHTS = (0.15, 0.30, 0.35, 0.20)

_SHAPES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "provider-outage": (("provider",), ("provider",), ("provider", "country")),
    "receipts-stop": (("provider",), ("provider", "country"), ("provider", "carrier")),
    "black-hole": (("provider", "country"), ("provider", "carrier"), ("provider", "carrier", "region")),
    "template-blocked": (("country", "template"), ("carrier", "template"), ("provider", "template"), ("provider", "country", "template")),
    "delivery-drop": (("carrier",), ("provider",), ("provider", "carrier"), ("provider", "country"), ("country", "region"), ("provider", "carrier", "region")),
    "slow-channel": (("provider",), ("provider", "country"), ("provider", "carrier"), ("carrier",)),
    "fake-receipts": (("provider", "country"), ("provider", "carrier")),
    "pumping": (("country",), ("carrier",), ("country", "purpose")),
    "verification-broken": (("app",), ("country", "app"), ("app", "purpose")),
}  # fmt: skip
_TEMPLATES = ("code-plain", "code-branded", "code-payment")
_PURPOSES = ("login", "signup")
_APPS = ("shop", "bank")  # those whose codes we check


@dataclass(frozen=True)
class Happening:
    """One fault or benign event, from `start` to `end` in seconds since 1970; `depth` as in `Label`."""

    id: str
    kind: str
    scope: Scope
    start: float
    end: float
    depth: float
    ramp_seconds: float = 0.0
    floor_minutes: float = 0.0

    @property
    def benign(self) -> bool:
        """Whether a good detector keeps quiet."""
        return self.kind in BENIGN_KINDS

    def strength(self, at: Floats) -> Floats:
        """How much of it is there at those moments: 0 outside, 1 at full strength, in between on the ramp."""
        ramp = np.clip((at - self.start) / self.ramp_seconds, 0.02, 1.0) if self.ramp_seconds else 1.0
        return np.where((at >= self.start) & (at < self.end), ramp, 0.0)


def draw_happenings(
    rng: np.random.Generator, *, start: float, test_start: float, end: float, rate_per_minute: float, faults: int
) -> list[Happening]:
    """Benign events from the second day on, faults in the test days, in order of their start."""
    benign = _benign(rng, start=start, test_start=test_start, end=end)
    found: list[Happening] = []
    for number in range(faults):
        kind = FAULT_KINDS[number % len(FAULT_KINDS)]
        found.append(_fault(rng, f"F{number + 1:02d}", kind, found, (test_start, end), rate_per_minute))
    return sorted([*benign, *found], key=lambda happening: happening.start)


def _fault(
    rng: np.random.Generator,
    name: str,
    kind: str,
    others: list[Happening],
    span: tuple[float, float],
    rate_per_minute: float,
) -> Happening:
    """A fault of that kind that can be seen, of a volume drawn beforehand where one can be found."""
    wanted = TIERS[int(rng.choice(len(TIERS), p=_TIER_WEIGHTS))]
    any_tier = None
    for _ in range(400):
        fault = _candidate(rng, name, kind, span, rate_per_minute)
        if fault is None or any(_too_near(fault, other) for other in others):
            continue
        any_tier = fault
        if tier_of(volume_of(fault, rate_per_minute)) == wanted:
            return fault
    if any_tier is None:
        raise ValueError(f"no room for {name} ({kind}): fewer faults, more days or more traffic")
    return any_tier


def _candidate(
    rng: np.random.Generator, name: str, kind: str, span: tuple[float, float], rate_per_minute: float
) -> Happening | None:
    shapes = _SHAPES[kind]
    scope = Scope(_values(rng, shapes[int(rng.integers(len(shapes)))]))
    length = float(np.clip(45 * math.exp(0.8 * rng.standard_normal()), 10, 180)) * 60
    start = math.floor(rng.uniform(span[0] + 3600, span[1] - 4 * 3600) / 5) * 5.0
    depth = _depth(rng, kind)
    ramp = length * rng.uniform(0.1, 0.3) if rng.random() < 0.25 else 0.0
    bare = Happening(name, kind, scope, start, start + length, depth, ramp)
    volume = volume_of(bare, rate_per_minute)
    floor = _floor_minutes(bare, volume)
    if volume < 1 or floor > min(length / 120, 25):
        return None
    return Happening(name, kind, scope, start, start + length, depth, ramp, floor)


def volume_of(happening: Happening, rate_per_minute: float) -> float:
    """What its scope carries in a healthy world half-way through it, a minute."""
    middle = datetime.fromtimestamp((happening.start + happening.end) / 2, UTC)
    return happening.scope.volume(middle, rate_per_minute)


def _too_near(one: Happening, other: Happening) -> bool:
    apart = max(one.start, other.start) - min(one.end, other.end)
    return apart < _QUIET_SECONDS and one.scope.meets(other.scope)


def _values(rng: np.random.Generator, shape: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """One value a dimension. A carrier or region comes with its country, where others bear the same name."""
    place = _place_for(rng, shape)
    values = {
        "provider": str(rng.choice(PROVIDERS)),
        "carrier": place.carrier,
        "country": place.country,
        "region": place.region,
        "template": str(rng.choice(_TEMPLATES)),
        "app": str(rng.choice(_APPS)),
        "purpose": str(rng.choice(_PURPOSES)),
    }
    named = {*shape, "country"} if {"carrier", "region"} & {*shape} else {*shape}
    return {dimension: (values[dimension],) for dimension in DIMENSIONS if dimension in named}


def _place_for(rng: np.random.Generator, shape: tuple[str, ...]) -> Area:
    """Any country as likely as another, or, where they are named, any carrier and region that bear a name."""
    if not {"carrier", "region"} & {*shape}:
        country = str(rng.choice(list(COUNTRIES)))
        return next(area for area in areas() if area.country == country)
    fit = [a for a in areas() if (a.carrier or "carrier" not in shape) and (a.region or "region" not in shape)]
    carriers = sorted({(area.country, area.carrier) for area in fit})
    chosen = carriers[int(rng.integers(len(carriers)))]
    inside = [area for area in fit if (area.country, area.carrier) == chosen]
    return inside[int(rng.integers(len(inside)))]


def _depth(rng: np.random.Generator, kind: str) -> float:
    match kind:
        case "slow-channel":
            return float(rng.uniform(6, 25))
        case "pumping":
            return float(rng.uniform(2.5, 9))
        case "delivery-drop":
            return float(rng.choice([0.26, 0.26, 0.4, 0.58, 0.75]))  # 95 % to 70, 57, 40, 24
        case "fake-receipts" | "verification-broken":
            return float(rng.uniform(0.35, 0.95))
        case _:
            return float(rng.choice([0.3, 0.5, 0.75, 0.95, 1.0]))


def _floor_minutes(fault: Happening, volume: float) -> float:
    """Minutes until the evidence is enough for whoever knows where and what to look for: see detection.md's floor."""
    before, per_message, minutes_to_tell = _CHANNELS[fault.kind]
    match fault.kind:
        case "slow-channel":
            after = 1 - 0.09 * float(fault.depth**0.72)
        case "pumping":
            after, volume = before / fault.depth, volume * fault.depth
        case _:
            after = before * (1 - fault.depth)
    after = min(max(after, 0.01), before)
    known = after * math.log(after / before) + (1 - after) * math.log((1 - after) / (1 - before))
    return minutes_to_tell + fault.ramp_seconds / 120 + _PHI * _LN_A / max(volume * per_message * known, 1e-9)


_CHANNELS: Mapping[str, tuple[float, float, float]] = {
    # share in a healthy world, how many of a scope's messages tell of it, minutes until they do
    "provider-outage": (0.985, 1.0, 0.5),
    "receipts-stop": (0.98, 1.0, 0.5),
    "black-hole": (0.98, 1.0, 0.5),
    "template-blocked": (0.95, 1.0, 0.5),
    "delivery-drop": (0.95, 1.0, 0.5),
    "slow-channel": (0.93, 1.0, 0.5),
    "fake-receipts": (0.80, 0.85, 1.0),
    "pumping": (0.80, 0.85, 1.0),
    "verification-broken": (0.95, 0.75, 1.0),
}


def _benign(rng: np.random.Generator, *, start: float, test_start: float, end: float) -> list[Happening]:
    """In the baseline what comes and goes: what is usual there must not be news later. In the test days all kinds."""
    found: list[Happening] = []
    for begin, until, plans in ((start + DAY, test_start, _PASSING), (test_start, end, _PASSING + _LASTING)):
        for plan in plans:
            for _ in range(max(plan.at_least, round((until - begin) / DAY * plan.per_day))):
                found.append(_drawn(rng, f"B{len(found) + 1:02d}", plan, begin, until))
    return found


@dataclass(frozen=True)
class _Plan:
    """How often a benign event comes and what it is like; without minutes it lasts to the end."""

    kind: str
    dimensions: tuple[str, ...]
    fixed: Mapping[str, str]
    per_day: float
    depth: tuple[float, float]
    minutes: tuple[float, float] | None = None
    at_least: int = 0
    ramp_seconds: float = 0.0


_PASSING = (
    _Plan("marketing-burst", ("country",), {"template": "weekend-offer"}, 0.6, (8, 40), (20, 90)),
    _Plan("flash-sale", ("country",), {"app": "shop"}, 0.45, (2, 5), (30, 120)),
    _Plan("holiday", ("country",), {}, 0.3, (0.35, 0.6), (1440, 1440)),
    _Plan("receipt-stall", ("provider",), {}, 0.6, (1, 1), (1.5, 2.5)),
)
_LASTING = (
    _Plan("routing-change", ("provider", "country"), {}, 0.3, (0.1, 0.6), at_least=1),
    _Plan("new-template", (), {"template": "code-short", "purpose": "login"}, 0.0, (0.15, 0.4), at_least=1),
    _Plan("slow-drift", ("provider", "country"), {}, 0.3, (0.015, 0.03), at_least=1, ramp_seconds=1.5 * DAY),
)


def _drawn(rng: np.random.Generator, name: str, plan: _Plan, begin: float, until: float) -> Happening:
    scope = Scope(_values(rng, plan.dimensions) | {name: (value,) for name, value in plan.fixed.items()})
    length = 60 * rng.uniform(*plan.minutes) if plan.minutes else until - begin
    latest = max(begin + 3600, until - (length if plan.minutes else 2 * DAY) - 3600)
    start = float(rng.uniform(begin + 600, latest))
    return Happening(
        name, plan.kind, scope, start, min(start + length, until), float(rng.uniform(*plan.depth)), plan.ramp_seconds
    )
