"""Who asks for messages in a drill: the season of every country, and bursts, sales, holidays and machines on top."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime

import numpy as np

from sandbox.drills.happenings import Happening
from sandbox.world.fates import Bools, Codes, Floats
from sandbox.world.lives import PURPOSE_NAMES, TEMPLATES, Requests, draw_wishes
from sandbox.world.traffic import MARKETING_PER_VERIFICATION, NOTIFICATIONS_PER_VERIFICATION, demand

SLOT_SECONDS = 300.0
_SHARES = np.array([1.0, NOTIFICATIONS_PER_VERIFICATION, MARKETING_PER_VERIFICATION])
_CODE_ONLY = np.array([1.0, 0.0, 0.0])
_MARKETING_ONLY = np.array([0.0, 0.0, MARKETING_PER_VERIFICATION])


@dataclass(frozen=True)
class Asked:
    """Requests in order of time; `machine` is the row of the pumping attack among the happenings, -1 for people."""

    requests: Requests
    machine: Codes


def ask(
    rng: np.random.Generator, happenings: Sequence[Happening], *, start: float, end: float, rate_per_minute: float
) -> Asked:
    """All requests of [start, end); `rate_per_minute` is the mean of a quiet week."""
    per_second = rate_per_minute / 60 / _SHARES.sum()
    usual = _without_holidays(rng, happenings, _arrivals(rng, start, end, per_second, _SHARES))
    parts, machines = [usual], [np.full(len(usual.at), -1)]
    for row, happening in enumerate(happenings):
        more = _extra(rng, happening, start=start, end=end, per_second=per_second)
        if more is not None:
            parts.append(more)
            machines.append(np.full(len(more.at), row if happening.kind == "pumping" else -1))
    joined = _joined(parts)
    order = np.argsort(joined.at, kind="stable")
    requests = _rows(joined, order)
    _take_new_template(rng, happenings, requests)
    return Asked(requests, np.concatenate(machines)[order])


def _arrivals(
    rng: np.random.Generator,
    start: float,
    end: float,
    per_second: float,
    shares: Floats,
    *,
    places: Bools | None = None,
) -> Requests:
    """A Poisson stream by area, category and slot of five minutes."""
    slots = np.arange(start, end, SLOT_SECONDS)
    lengths = np.minimum(SLOT_SECONDS, end - slots)
    busy = np.array([demand(datetime.fromtimestamp(slot, UTC)) for slot in slots.tolist()])
    if places is not None:
        busy = np.where(places, busy, 0.0)
    wanted = (busy * lengths[:, None])[:, :, None] * shares * per_second
    counts = rng.poisson(wanted)
    slot, area, category = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    at = slots[slot] + lengths[slot] * rng.random(len(slot))
    app, purpose, template = draw_wishes(rng, category)
    return Requests(at, area, app, purpose, template, category, np.zeros(len(at), dtype=bool))


def _extra(
    rng: np.random.Generator, happening: Happening, *, start: float, end: float, per_second: float
) -> Requests | None:
    """What a burst, a sale or machines add to the usual traffic of its scope, thinned while it ramps up."""
    begin, until = max(start, happening.start), min(end, happening.end)
    if happening.kind not in ("marketing-burst", "flash-sale", "pumping") or begin >= until:
        return None
    shares = _MARKETING_ONLY if happening.kind == "marketing-burst" else _CODE_ONLY
    more = _arrivals(rng, begin, until, per_second * (happening.depth - 1), shares, places=happening.scope.area)
    rows = np.arange(len(more.at))
    kept = happening.scope.holds_requests(more, rows) & (rng.random(len(rows)) < happening.strength(more.at))
    found = _rows(more, np.flatnonzero(kept))
    found.bot[:] = happening.kind == "pumping"
    return found


def _without_holidays(rng: np.random.Generator, happenings: Iterable[Happening], requests: Requests) -> Requests:
    keep = np.ones(len(requests.at), dtype=bool)
    for happening in happenings:
        if happening.kind == "holiday" and len(requests.at):
            away = happening.scope.area[requests.area] & (happening.strength(requests.at) > 0)
            keep &= ~away | (rng.random(len(keep)) < happening.depth)
    return _rows(requests, np.flatnonzero(keep))


def _take_new_template(rng: np.random.Generator, happenings: Iterable[Happening], requests: Requests) -> None:
    """Part of the logins get the new text instead of one of the old ones."""
    for happening in happenings:
        if happening.kind == "new-template":
            login = (requests.purpose == PURPOSE_NAMES.index("login")) & (happening.strength(requests.at) > 0)
            moved = login & (rng.random(len(login)) < happening.depth)
            requests.template[moved] = TEMPLATES.index("code-short")


def _rows(requests: Requests, rows: Codes) -> Requests:
    return Requests(**{f.name: getattr(requests, f.name)[rows] for f in fields(Requests)})


def _joined(parts: Sequence[Requests]) -> Requests:
    return Requests(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Requests)})
