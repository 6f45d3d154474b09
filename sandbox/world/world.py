"""The simulated world in one object: what becomes of a message, who asks when, and how they behave.

The same seed and the same order of questions give the same answers. `pace` scales every wait, so that tests and the
smoke run need not wait as long as people do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from sandbox.world import channels, fates, people, places, traffic
from sandbox.world.channels import Channel
from sandbox.world.fates import Fate
from sandbox.world.faults import Fault
from sandbox.world.people import Person
from sandbox.world.places import Area


@dataclass(frozen=True)
class Wish:
    """Somebody wants a verification: where they live, what for, and whether it is a machine that only pumps traffic."""

    area: Area
    app: str
    purpose: str
    template: str
    bot: bool


class World:
    """`seed` makes `rng()` repeatable; `faults` are what is broken; `pace` 0.01 makes every wait 100 times shorter."""

    def __init__(self, *, seed: int, faults: Sequence[Fault] = (), pace: float = 1.0) -> None:
        if not pace > 0:
            raise ValueError("pace is a factor above zero")
        self.seed = seed
        self.faults = tuple(faults)
        self.pace = pace

    def rng(self, *stream: int) -> np.random.Generator:
        """A generator of this world; each `stream` has a sequence of its own."""
        return np.random.default_rng([self.seed, *stream])

    def channel(
        self, *, provider: str, carrier: str, country: str, region: str, template: str, at: datetime
    ) -> Channel:
        """A provider's way to a place at that moment, with what is broken then."""
        carried = channels.channel(provider, country=country, carrier=carrier, region=region, template=template)
        for fault in self.faults:
            if fault.active(at) and fault.covers(
                provider=provider, carrier=carrier, country=country, region=region, template=template
            ):
                carried = channels.broken_channel(carried, fault)
        return carried

    def fate(
        self,
        rng: np.random.Generator,
        *,
        provider: str,
        carrier: str,
        country: str,
        region: str,
        template: str,
        at: datetime,
    ) -> Fate:
        """What becomes of one message handed to `provider` at `at`.

        A provider or country that the world does not have is a `KeyError`; carrier, region and template may be any.
        """
        way = self.channel(provider=provider, carrier=carrier, country=country, region=region, template=template, at=at)
        draw = fates.draw_fates(rng, fates.Odds.of([way]))
        return fates.fate_of(draw, 0, carriers=(carrier, places.other_carrier(country, carrier)), pace=self.pace)

    def person(self, rng: np.random.Generator) -> Person:
        """The habits of one person on one occasion."""
        return people.person_of(people.draw_people(rng, 1), 0, pace=self.pace)

    def busy(self, at: datetime) -> float:
        """How busy the whole world is, as a factor on its mean of a week."""
        return float(traffic.demand(at, self.faults).sum())

    def denied(self, app: str, at: datetime) -> float:
        """Share of an app's right codes that are called wrong at that moment."""
        return max((fault.denied(app) for fault in self.faults if fault.active(at)), default=0.0)

    def wish(self, rng: np.random.Generator, at: datetime) -> Wish:
        """Who wants a verification next, and what for."""
        weights = traffic.demand(at, self.faults)
        area = places.areas()[int(rng.choice(len(weights), p=weights / weights.sum()))]
        purpose = pick(rng, traffic.PURPOSES)
        return Wish(
            area=area,
            app=pick(rng, traffic.APPS),
            purpose=purpose,
            template=pick(rng, traffic.CODE_TEMPLATES[purpose]),
            bot=bool(rng.random() < traffic.bot_share(area, at, self.faults)),
        )


def pick(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    """One name, by its share."""
    return str(rng.choice(list(shares), p=list(shares.values())))
