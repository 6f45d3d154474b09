"""A stretch of the simulated past in columns: who asked, what was submitted, what came back, what was entered.

It draws from the tables of the world, as live traffic does, so that nothing jumps where the one ends and the other
begins. Times are seconds since 1970, UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from sandbox.world import PROVIDER_WEIGHTS, PROVIDERS, World, areas
from sandbox.world.fates import Codes, Draw, Floats, Odds, draw_fates
from sandbox.world.lives import Past, Requests, channel_row, denials_of, draw_wishes, live_through, odds_of
from sandbox.world.traffic import MARKETING_PER_VERIFICATION, NOTIFICATIONS_PER_VERIFICATION, bot_share, demand

SLOT_SECONDS = 300

_WEIGHTS = np.array([PROVIDER_WEIGHTS[name] for name in PROVIDERS])


class Routes:
    """The odds of every provider × area × template, for each stretch of time between two faults."""

    def __init__(self, world: World) -> None:
        self._world = world
        bounds = {fault.start for fault in world.faults} | {fault.end for fault in world.faults if fault.end}
        self._bounds = sorted(bounds)
        self._seconds = np.array([bound.timestamp() for bound in self._bounds])
        self._tables: dict[int, Odds] = {}

    def weights(self, requests: Requests, rows: Codes, at: Floats) -> Floats:
        """The same for everybody."""
        return np.broadcast_to(_WEIGHTS, (len(rows), len(_WEIGHTS)))

    def denials(self, rng: np.random.Generator, requests: Requests, rows: Codes, at: Floats) -> Codes:
        """What the faults of each moment make of the senders' checks."""
        return denials_of(self._world, rng, requests.app[rows], at)

    def draw(self, rng: np.random.Generator, requests: Requests, rows: Codes, *, provider: Codes, at: Floats) -> Draw:
        """The fates of messages."""
        row = channel_row(provider, requests.area[rows], requests.template[rows])
        stretch = np.searchsorted(self._seconds, at, side="right")
        columns: dict[str, Floats] = {}
        for number in np.unique(stretch).tolist() or [0]:
            table, here = self._table(number), stretch == number
            for name, values in table.columns.items():
                columns.setdefault(name, np.empty((len(at), *values.shape[1:])))[here] = values[row[here]]
        return draw_fates(rng, Odds(columns, size=len(at)))

    def _table(self, stretch: int) -> Odds:
        if stretch not in self._tables:
            at = self._bounds[stretch - 1] if stretch else datetime.min.replace(tzinfo=UTC)
            self._tables[stretch] = odds_of(self._world, at)
        return self._tables[stretch]


def simulate(
    world: World,
    routes: Routes,
    rng: np.random.Generator,
    *,
    start: datetime,
    end: datetime,
    stop: datetime,
    per_day: int,
) -> Past:
    """What was asked for in [start, end), with all that came of it; nobody asks again at or after `stop`."""
    requests = _requests(world, rng, start=start, end=end, per_day=per_day)
    return live_through(routes, rng, requests, stop=stop.timestamp())


def _requests(world: World, rng: np.random.Generator, *, start: datetime, end: datetime, per_day: int) -> Requests:
    at, area, category, bot = _arrivals(world, rng, start.timestamp(), end.timestamp(), per_day)
    order = np.argsort(at, kind="stable")
    at, area, category = at[order], area[order], category[order]
    app, purpose, template = draw_wishes(rng, category)
    bots = (rng.random(len(bot)) < bot[order]) & (category == 0)
    return Requests(at, area, app, purpose, template, category, bots)


def _arrivals(
    world: World, rng: np.random.Generator, begin: float, until: float, per_day: int
) -> tuple[Floats, Codes, Codes, Floats]:
    """When, from where, of which category, and how likely it is a machine: a Poisson stream by area and slot."""
    shares = (1.0, NOTIFICATIONS_PER_VERIFICATION, MARKETING_PER_VERIFICATION)
    parts: tuple[list[Floats], list[Codes], list[Codes], list[Floats]] = ([], [], [], [])
    for slot in np.arange(begin, until, SLOT_SECONDS).tolist():
        length = min(SLOT_SECONDS, until - slot)
        moment = datetime.fromtimestamp(slot, UTC)
        wanted = demand(moment, world.faults) * per_day * length / 86_400
        bots = np.array([bot_share(area, moment, world.faults) for area in areas()])
        for category, share in enumerate(shares):
            people_only = 1.0 if category == 0 else 1 - bots
            counts = rng.poisson(wanted * share * people_only)
            area = np.repeat(np.arange(len(counts)), counts)
            parts[0].append(slot + length * rng.random(len(area)))
            parts[1].append(area)
            parts[2].append(np.full(len(area), category))
            parts[3].append(bots[area])
    return np.concatenate(parts[0]), np.concatenate(parts[1]), np.concatenate(parts[2]), np.concatenate(parts[3])
