"""The world of a drill while people live in it: base rates that drift, nights, noise, and what happens on top.

Every message in the scope of a fault is drawn twice with the same random numbers, with the fault and without it, so
that what the fault did is counted, not estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from sandbox.drills.effects import EFFECTS, Columns
from sandbox.drills.happenings import Happening
from sandbox.world import COUNTRIES, PROVIDER_WEIGHTS, PROVIDERS, World, areas
from sandbox.world.fates import NEVER, Bools, Codes, Draw, Floats, Odds, draw_fates
from sandbox.world.lives import Requests, channel_row, draw_denials, is_own_code, odds_of
from sandbox.world.traffic import zone

ON_TIME_SECONDS = 60.0
_NOISE_SECONDS = 300.0
_RECEIPT_KINDS = ("receipts-stop", "receipt-stall")
_LATEST_RECEIPT_SECONDS = 6 * 3600.0
_WEIGHTS = np.array([PROVIDER_WEIGHTS[name] for name in PROVIDERS])
_COUNTRIES = tuple(COUNTRIES)
_COUNTRY = np.array([_COUNTRIES.index(area.country) for area in areas()])
_NETWORKS = tuple({(area.country, area.carrier): None for area in areas()})
_NETWORK = np.array([_NETWORKS.index((area.country, area.carrier)) for area in areas()])


@dataclass
class Harm:
    """Which attempts (rows in the order of drawing) and which requests a fault has harmed in one stretch."""

    attempts: list[Codes] = field(default_factory=list)
    requests: list[Codes] = field(default_factory=list)


class Weather:
    """`Conditions` of a drill from `start` to `end`, seconds since 1970. `harm` is what the current stretch suffered."""

    def __init__(self, rng: np.random.Generator, happenings: Sequence[Happening], *, start: float, end: float) -> None:
        self._happenings = happenings
        self._start = start
        self._table = odds_of(World(seed=0), datetime.min.replace(tzinfo=UTC))
        hours = int((end - start) // 3600) + 2
        self._lost_more, self._slower = _slow_changes(rng, start, hours)
        self._noise = 0.12 * rng.standard_normal((len(PROVIDERS), len(_NETWORKS), hours * 12)).astype(np.float32)
        self.begin_stretch()

    def begin_stretch(self) -> None:
        """Forget the harm of the stretch before; rows are counted from 0 again."""
        self.harm: dict[str, Harm] = {happening.id: Harm() for happening in self._happenings}
        self._drawn = 0

    def weights(self, requests: Requests, rows: Codes, at: Floats) -> Floats:
        """The usual shares, and others where routing has changed."""
        weights = np.repeat(_WEIGHTS[None, :], len(rows), axis=0)
        for change in self._now(at, "routing-change"):
            moved = np.flatnonzero(change.scope.area[requests.area[rows]] & (change.strength(at) > 0))
            favoured = int(np.flatnonzero(change.scope.provider)[0])
            others = np.where(np.arange(len(_WEIGHTS)) == favoured, 0.0, _WEIGHTS)
            others *= (1 - change.depth) / others.sum()
            others[favoured] = change.depth
            weights[moved] = others
        return weights

    def denials(self, rng: np.random.Generator, requests: Requests, rows: Codes, at: Floats) -> Codes:
        """Right codes called wrong while our own verification is broken; never of codes that the sender checks itself."""
        share = np.zeros(len(rows))
        told = draw_denials(rng, share)
        for broken in self._now(at, "verification-broken"):
            here = np.where(broken.scope.holds_requests(requests, rows), broken.strength(at) * broken.depth, 0.0)
            here[is_own_code(requests)[rows]] = 0.0
            denied = draw_denials(rng, here)
            self.harm[broken.id].requests.append(np.repeat(rows, denied))
            told = np.maximum(told, denied)
        return told

    def draw(self, rng: np.random.Generator, requests: Requests, rows: Codes, *, provider: Codes, at: Floats) -> Draw:
        """What becomes of messages, with all that happens."""
        seed = int(rng.integers(2**62))
        odds = self._usual(requests, rows, provider, at)
        touched = [
            (happening, where)
            for happening in self._now(at, *EFFECTS, *_RECEIPT_KINDS)
            if len(where := self._rows_in(happening, requests, rows, provider, at))
        ]
        healthy = None
        if any(not happening.benign for happening, _ in touched):
            healthy = draw_fates(np.random.default_rng(seed), Odds(odds, size=len(rows)))
        for happening, where in touched:
            if happening.kind in EFFECTS:
                EFFECTS[happening.kind](odds, where, happening.strength(at[where]), happening.depth)
        drawn = draw_fates(np.random.default_rng(seed), Odds(odds, size=len(rows)))
        for happening, where in touched:
            if happening.kind in _RECEIPT_KINDS:
                _hold_receipts(rng, happening, drawn, where, at)
        if healthy is not None:
            self._note_harm(touched, healthy, drawn)
        self._drawn += len(rows)
        return drawn

    def _now(self, at: Floats, *kinds: str) -> list[Happening]:
        if not len(at):
            return []
        first, last = at.min(), at.max()
        return [
            happening
            for happening in self._happenings
            if happening.kind in kinds
            and happening.start <= last + (_LATEST_RECEIPT_SECONDS if happening.kind in _RECEIPT_KINDS else 0)
            and first < happening.end
        ]

    def _rows_in(self, happening: Happening, requests: Requests, rows: Codes, provider: Codes, at: Floats) -> Codes:
        """Messages that it may touch: submitted while it lasts, or whose receipt may come while it lasts."""
        early = _LATEST_RECEIPT_SECONDS if happening.kind in _RECEIPT_KINDS else 0.0
        near = np.flatnonzero((at >= happening.start - early) & (at < happening.end))
        inside = happening.scope.holds_requests(requests, rows[near]) & happening.scope.provider[provider[near]]
        return near[inside]

    def _usual(self, requests: Requests, rows: Codes, provider: Codes, at: Floats) -> Columns:
        area = requests.area[rows]
        row = channel_row(provider, area, requests.template[rows])
        odds = {name: values[row] for name, values in self._table.columns.items()}
        hour = ((at - self._start) // 3600).astype(np.int64).clip(0, self._lost_more.shape[2] - 1)
        slot = ((at - self._start) // _NOISE_SECONDS).astype(np.int64).clip(0, self._noise.shape[2] - 1)
        country = _COUNTRY[area]
        more = self._lost_more[provider, country, hour] * np.exp(self._noise[provider, _NETWORK[area], slot])
        more = np.minimum(more, 0.7 / (1 - odds["delivered"]))
        odds["delivered"] = 1 - (1 - odds["delivered"]) * more
        odds["failed"] = odds["failed"] * more
        odds["transit_seconds"] = odds["transit_seconds"] * self._slower[provider, country, hour]
        return odds

    def _note_harm(self, touched: list[tuple[Happening, Codes]], healthy: Draw, drawn: Draw) -> None:
        for happening, where in touched:
            if not happening.benign:
                worse = where[_worse(happening.kind, healthy, drawn, where)]
                self.harm[happening.id].attempts.append(worse + self._drawn)


def _worse(kind: str, healthy: Draw, drawn: Draw, rows: Codes) -> Bools:
    """Which of these messages fared worse than they would have without the fault."""
    match kind:
        case "provider-outage":
            return np.asarray((healthy.answer[rows] == 0) & (drawn.answer[rows] != 0))
        case "receipts-stop":
            return np.asarray((healthy.final_seconds[rows] < NEVER) & (drawn.final_seconds[rows] == NEVER))
        case "slow-channel":
            on_time = healthy.delivered[rows] & (healthy.final_seconds[rows] <= ON_TIME_SECONDS)
            return np.asarray(on_time & (drawn.final_seconds[rows] > ON_TIME_SECONDS))
        case _:
            return np.asarray((healthy.arrives_seconds[rows] < NEVER) & (drawn.arrives_seconds[rows] == NEVER))


def _hold_receipts(rng: np.random.Generator, happening: Happening, drawn: Draw, rows: Codes, at: Floats) -> None:
    """Receipts that were to come while the feed is broken are lost; of a stall they come all at once when it ends."""
    hit = rng.random(len(rows)) < happening.depth
    late = 20 * rng.random(len(rows))
    for seconds in (drawn.pending_seconds, drawn.final_seconds, drawn.duplicate_seconds):
        due = at[rows] + seconds[rows]
        held = hit & (happening.strength(due) > rng.random(len(rows)) * 0.999)
        lost = happening.kind == "receipts-stop"
        instead = np.full(len(rows), NEVER) if lost else happening.end + late - at[rows]
        seconds[rows[held]] = instead[held]


def _slow_changes(rng: np.random.Generator, start: float, hours: int) -> tuple[Floats, Floats]:
    """By provider, country and hour: factors on what is lost and on the way's time. Nights and slow waves."""
    shape = (len(PROVIDERS), len(_COUNTRIES), 1)
    hour = np.arange(hours)
    local = np.array([[_local_hour(code, start + 3600 * each) for each in hour] for code in _COUNTRIES])
    night = 0.15 * np.cos(2 * np.pi * (local - 3) / 24)
    waves = [
        width * np.sin(2 * np.pi * (hour / (24 * rng.uniform(3, 9, shape)) + rng.random(shape)))
        for width in (0.10, 0.07)
    ]
    slower = 0.10 * np.sin(2 * np.pi * (hour / (24 * rng.uniform(2, 6, shape)) + rng.random(shape)))
    return np.exp(night[None] + waves[0] + waves[1]), np.exp(
        slower - 0.10 * np.cos(2 * np.pi * (local - 20) / 24)[None]
    )


def _local_hour(country: str, at: float) -> float:
    return float(datetime.fromtimestamp(at, zone(COUNTRIES[country].time_zone)).hour)
