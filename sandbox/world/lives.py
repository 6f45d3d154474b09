"""What people and the service do with each other, in columns: submit, fail over, wait, ask again, enter, be checked.

History and drills live through their days here; what the world is like meanwhile, their `Conditions` say. Times are
seconds since 1970, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Protocol

import numpy as np

from sandbox.world.channels import PROVIDERS
from sandbox.world.fates import ANSWERS, CLASSES, NEVER, Bools, Codes, Draw, Floats, Odds
from sandbox.world.people import ASKS_AGAIN_MAX, draw_people
from sandbox.world.places import areas
from sandbox.world.traffic import APPS, CODE_TEMPLATES, MESSAGES_APP, OWN_CODES_APP, PURPOSES, TEXTS
from sandbox.world.world import World

LIFETIME_SECONDS = 600.0  # the service's defaults: [code], [providers] and [routing]
CHECKS_MAX = 5
TIMEOUT_SECONDS = 3.0
DEADLINE_SECONDS = 7.75  # a provider is asked only while a quarter of a second is left
TRIES_MAX = 3
CAUSES = ("first", "failover", "resend")
RESULTS = ("approved", "wrong", "expired")

APP_NAMES = tuple(APPS)
PURPOSE_NAMES = (*PURPOSES, "")
TEMPLATES = tuple(text.name for text in TEXTS)
CATEGORIES = ("code", "notification", "marketing")

_HOPELESS = np.array([CLASSES.index("number"), CLASSES.index("opted_out")])
"""No other provider is tried for these: the number itself is the reason."""


@dataclass(frozen=True)
class Requests:
    """One row a request, in time order. Names are indices into the tuples above and into `areas()`."""

    at: Floats
    area: Codes
    app: Codes
    purpose: Codes
    template: Codes
    category: Codes
    bot: Bools


@dataclass(frozen=True)
class Attempts:
    """One row an attempt; `request` is the row of its request."""

    request: Codes
    number: Codes
    at: Floats
    provider: Codes
    cause: Codes
    fate: Draw


@dataclass(frozen=True)
class Checks:
    """One row a check; `attempt` is 0 when the code was nobody's."""

    request: Codes
    number: Codes
    at: Floats
    attempt: Codes
    provider: Codes  # of that attempt
    result: Codes


@dataclass(frozen=True)
class Past:
    """All of a stretch."""

    requests: Requests
    attempts: Attempts
    checks: Checks


def channel_row(provider: Codes, area: Codes, template: Codes) -> Codes:
    """Where a channel stands in `odds_of`."""
    return np.asarray((provider * len(areas()) + area) * len(TEMPLATES) + template)


def odds_of(world: World, at: datetime) -> Odds:
    """The odds of every provider × area × template at that moment, in the order of `channel_row`."""
    return Odds.of(
        [
            world.channel(
                provider=provider,
                carrier=area.carrier,
                country=area.country,
                region=area.region,
                template=template,
                at=at,
            )
            for provider in PROVIDERS
            for area in areas()
            for template in TEMPLATES
        ]
    )


def denials_of(world: World, rng: np.random.Generator, app: Codes, at: Floats) -> Codes:
    """How many times the check calls each right code wrong: geometric while the app's verification is broken."""
    share = np.zeros(len(at))
    for fault in world.faults:
        broken = [fault.denied(name) for name in APP_NAMES]
        if any(broken):
            until = fault.end.timestamp() if fault.end else NEVER
            share = np.where((at >= fault.start.timestamp()) & (at < until), np.asarray(broken)[app], share)
    return draw_denials(rng, share)


def draw_denials(rng: np.random.Generator, share: Floats) -> Codes:
    """Denials in a row when each right code is denied by that share; no more than checks are allowed."""
    in_vain = rng.random((len(share), CHECKS_MAX)) < share[:, None]
    return np.asarray(np.logical_and.accumulate(in_vain, axis=1).sum(axis=1), dtype=np.int64)


class Conditions(Protocol):
    """What the world is like for the requests `rows` at the times `at`."""

    def weights(self, requests: Requests, rows: Codes, at: Floats) -> Floats:
        """How the service shares traffic between the providers, (n, providers)."""

    def draw(self, rng: np.random.Generator, requests: Requests, rows: Codes, *, provider: Codes, at: Floats) -> Draw:
        """What becomes of their messages at those providers."""

    def denials(self, rng: np.random.Generator, requests: Requests, rows: Codes, at: Floats) -> Codes:
        """How many times our own check calls each one's right code wrong before it sees that it is right."""


def live_through(conditions: Conditions, rng: np.random.Generator, requests: Requests, *, stop: float = NEVER) -> Past:
    """All that comes of `requests`; nobody asks again at or after `stop`."""
    sender = _Sender(conditions, rng, requests)
    codes = np.flatnonzero(requests.category == 0)
    others = np.flatnonzero(requests.category > 0)
    sender.send(others, requests.at[others], CAUSES.index("first"))
    checks = _verifications(sender, rng, requests, codes, stop=stop)
    return Past(requests, sender.attempts(), checks)


@dataclass(frozen=True)
class Arrivals:
    """When the first text arrives (`NEVER`: none does), of which attempt and provider it is, and who was refused for
    the number itself."""

    at: Floats
    number: Codes
    provider: Codes
    hopeless: Bools

    @classmethod
    def none(cls, count: int) -> Arrivals:
        """Nothing has arrived yet."""
        zeros = np.zeros(count, dtype=np.int64)
        return cls(np.full(count, NEVER), zeros, zeros.copy(), np.zeros(count, dtype=bool))

    def sooner(self, rows: Codes, at: Floats, number: Codes, provider: Codes) -> None:
        """Take what arrives sooner than what is known."""
        better = at < self.at[rows]
        self.at[rows[better]] = at[better]
        self.number[rows[better]] = number[better]
        self.provider[rows[better]] = provider[better]


class _Sender:
    """Submits as the service does: a provider by weight, another one while it fails and time is left."""

    def __init__(self, conditions: Conditions, rng: np.random.Generator, requests: Requests) -> None:
        self.conditions = conditions
        self._rng = rng
        self._requests = requests
        self._count = np.zeros(len(requests.at), dtype=np.int64)
        self._last = np.full(len(requests.at), -1)  # provider of the newest attempt
        self._parts: list[Attempts] = []

    def send(self, rows: Codes, at: Floats, cause: int) -> Arrivals:
        """Submit for the requests `rows` at the times `at`."""
        came = Arrivals.none(len(rows))
        tried = np.zeros((len(rows), len(PROVIDERS)), dtype=bool)
        moment, open_ = at.copy(), np.arange(len(rows))
        for again in range(TRIES_MAX):
            avoid = self._last[rows[open_]] if not again else np.full(len(open_), -1)
            provider = self._choose(rows[open_], moment[open_], tried[open_], avoid)
            tried[open_, provider] = True
            attempts = self._submit(rows[open_], moment[open_], provider, CAUSES.index("failover") if again else cause)
            came.sooner(open_, moment[open_] + attempts.fate.arrives_seconds, attempts.number, provider)
            moment[open_] += np.minimum(attempts.fate.answer_seconds, TIMEOUT_SECONDS)
            hopeless = np.isin(attempts.fate.error, _HOPELESS)
            came.hopeless[open_] = hopeless
            goes_on = (attempts.fate.answer > 0) & ~hopeless
            open_ = open_[goes_on & (moment[open_] < at[open_] + DEADLINE_SECONDS)]
        return came

    def attempts(self) -> Attempts:
        """All attempts so far."""
        return _joined(self._parts)

    def _choose(self, rows: Codes, at: Floats, tried: Bools, avoid: Codes) -> Codes:
        """By weight among those not yet tried, and not the one whose message did not help (-1: there was none)."""
        out = tried | (avoid[:, None] == np.arange(len(PROVIDERS)))
        weights = np.where(out, 0.0, self.conditions.weights(self._requests, rows, at))
        cumulative = np.cumsum(weights, axis=1)
        drawn = self._rng.random(len(tried)) * cumulative[:, -1]
        return np.asarray((drawn[:, None] >= cumulative).sum(axis=1), dtype=np.int64)

    def _submit(self, rows: Codes, at: Floats, provider: Codes, cause: int) -> Attempts:
        fate = self.conditions.draw(self._rng, self._requests, rows, provider=provider, at=at)
        slow = fate.answer_seconds > TIMEOUT_SECONDS
        fate = replace(
            fate,
            answer=np.where(slow, ANSWERS.index("timeout"), fate.answer),
            error=np.where(slow, CLASSES.index("timeout"), fate.error),
        )
        self._count[rows] += 1
        self._last[rows] = provider
        attempts = Attempts(rows, self._count[rows], at, provider, np.full(len(rows), cause), fate)
        self._parts.append(attempts)
        return attempts


def _joined(parts: list[Attempts]) -> Attempts:
    fate = Draw(**{f.name: np.concatenate([getattr(part.fate, f.name) for part in parts]) for f in fields(Draw)})
    columns = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Attempts) if f.name != "fate"
    }
    return Attempts(**columns, fate=fate)


def _verifications(
    sender: _Sender, rng: np.random.Generator, requests: Requests, rows: Codes, *, stop: float
) -> Checks:
    """Send codes, wait, ask again, give up, enter: round by round over everybody who still waits."""
    people = draw_people(rng, len(rows))
    alone = requests.bot[rows] | is_own_code(requests)[rows]  # never ask again under the same id
    asked = requests.at[rows].copy()
    came = Arrivals.none(len(rows))
    read = np.full(len(rows), NEVER)  # when the person has a code before their eyes
    waiting = np.arange(len(rows))
    for again in range(ASKS_AGAIN_MAX + 1):
        sent = sender.send(rows[waiting], asked[waiting], CAUSES.index("resend" if again else "first"))
        came.sooner(waiting, sent.at, sent.number, sent.provider)
        patient_until = asked[waiting] + people.patience_seconds[waiting, again]
        has_it = came.at[waiting] <= patient_until
        asks = ~has_it & people.asks_again[waiting, again] & ~sent.hopeless & ~alone[waiting] & (patient_until < stop)
        reads = has_it | (~asks & people.comes_back[waiting])
        read[waiting[reads]] = came.at[waiting[reads]]
        asked[waiting] = patient_until
        waiting = waiting[asks]
    enters = people.enters & ~requests.bot[rows] & (read < NEVER)
    types = people.types_seconds[enters]
    first_at = read[enters] + people.reads_seconds[enters] + types
    denials = sender.conditions.denials(rng, requests, rows[enters], first_at)
    tries = _tries(requests.at[rows[enters]], first_at, types, people.mistypes[enters], denials)
    return replace(
        tries,
        request=rows[enters][tries.request],
        attempt=np.where(tries.attempt > 0, came.number[enters][tries.request], 0),
        provider=came.provider[enters][tries.request],
    )


def _tries(begun: Floats, first_at: Floats, types: Floats, mistypes: Codes, denials: Codes) -> Checks:
    """Wrong tries, then the right code (`attempt` 1) if it is seen before the tries are used up; what is entered after
    the lifetime has expired."""
    vain = mistypes + denials
    tries = np.minimum(vain + 1, CHECKS_MAX)
    each = np.repeat(np.arange(len(begun)), tries)
    count = np.arange(len(each)) - np.repeat(np.cumsum(tries) - tries, tries)
    at = first_at[each] + count * (types[each] + 2.0)
    right = count == vain[each]
    late = at > begun[each] + LIFETIME_SECONDS
    result = np.where(
        late, RESULTS.index("expired"), np.where(right, RESULTS.index("approved"), RESULTS.index("wrong"))
    )
    return Checks(each, count + 1, at, np.where(right, 1, 0), np.zeros(len(each), dtype=np.int64), result)


def is_own_code(requests: Requests) -> Bools:
    """Codes that the sending app made itself."""
    own: Bools = (requests.app == APP_NAMES.index(OWN_CODES_APP)) & (requests.category == 0)
    return own


def draw_wishes(rng: np.random.Generator, category: Codes) -> tuple[Codes, Codes, Codes]:
    """What requests of those categories are for: app, purpose and template. Messages that carry no code have no purpose."""
    count, is_code = len(category), category == 0
    app = np.where(is_code, _draw(rng, APPS, count), APP_NAMES.index(MESSAGES_APP))
    purpose = np.where(is_code, _draw(rng, PURPOSES, count), PURPOSE_NAMES.index(""))
    template = np.select([category == 1, category == 2], [_first("notification"), _first("marketing")], default=0)
    for name, shares in CODE_TEMPLATES.items():
        rows = np.flatnonzero(purpose == PURPOSE_NAMES.index(name))
        numbers = np.array([TEMPLATES.index(each) for each in shares])
        template[rows] = numbers[_draw(rng, shares, len(rows))]
    return app, purpose, template


def _first(category: str) -> int:
    return next(number for number, text in enumerate(TEXTS) if text.category == category)


def _draw(rng: np.random.Generator, shares: Mapping[str, float], count: int) -> Codes:
    return rng.choice(len(shares), size=count, p=list(shares.values()))
