"""Simulated people who use the product through its public HTTP API: they ask for codes, read, type, mistype, ask again.

They know nothing but the API and what their handsets show. What the API refuses or cannot do is counted, never hidden.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

import aiohttp
import numpy as np

from core.clock import Clock, utc_now
from core.events import Category
from sandbox.errors import ApiRefused, ApiUnavailable
from sandbox.handsets import Handsets
from sandbox.world import COUNTRIES, TEXTS, Person, Wish, World, make_number
from sandbox.world.lives import CHECKS_MAX, draw_denials
from sandbox.world.traffic import (
    MARKETING_PER_VERIFICATION,
    MESSAGES_APP,
    NOTIFICATIONS_PER_VERIFICATION,
    OWN_CODES_APP,
    VALUES,
)

TRIES_MAX: Final = 4
"""How often one call is made when the API says "later" or cannot be reached."""
WILLING_SECONDS: Final = 60.0
"""Longest Retry-After a person waits for, at pace 1; two seconds are always waited."""
LIFETIME_SECONDS: Final = 600.0
UNDER_WAY_MAX: Final = 2_000
"""People with a handset in hand at once; beyond it new ones queue, so that a dead API does not fill the memory."""

MESSAGES_PER_VERIFICATION: Final = NOTIFICATIONS_PER_VERIFICATION + MARKETING_PER_VERIFICATION

Inbox = asyncio.Queue[str]

_LATER = (409, 429)
_CODE = re.compile(r"(?<!\d)\d{4,10}(?!\d)")
_STREAM = 2


@dataclass
class Tally:
    """What became of everybody so far. `checks` counts the API's verdicts, `refused` its refusals by HTTP status."""

    sent: int = 0
    resent: int = 0
    approved: int = 0
    abandoned: int = 0
    messages: int = 0
    unreachable: int = 0
    checks: Counter[str] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)

    def line(self) -> str:
        """One line for people."""
        refused = sum(self.refused.values())
        return (
            f"sent={self.sent} resent={self.resent} approved={self.approved} abandoned={self.abandoned} "
            f"messages={self.messages} refused={refused} unreachable={self.unreachable}"
        )


class Api:
    """The few calls a subscriber's app makes. Raises `ApiRefused` and `ApiUnavailable`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, *, pace: float) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._pace = pace
        self._willing_seconds = max(2.0, WILLING_SECONDS * pace)

    async def send(self, path: str, body: Mapping[str, Any], *, key: str) -> str:
        """Send something, at most once however often the call is made; returns the id."""
        told = await self._post(path, body, {"Authorization": f"Bearer {key}", "Idempotency-Key": str(uuid4())})
        return str(told["id"])

    async def tell(self, path: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        """A call that sends nothing."""
        return await self._post(path, body, {"Authorization": f"Bearer {key}"})

    async def _post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        for _ in range(TRIES_MAX - 1):
            try:
                return await self._once(path, body, headers)
            except ApiUnavailable as error:
                if error.retry_after_seconds is None or error.retry_after_seconds > self._willing_seconds:
                    raise
                await asyncio.sleep(error.retry_after_seconds)
        return await self._once(path, body, headers)

    async def _once(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        try:
            async with self._session.post(self._url + path, json=body, headers=headers) as response:
                if response.status in _LATER or response.status >= 500:
                    raise ApiUnavailable(path, response.status, _retry_after(response))
                if response.status >= 400:
                    raise ApiRefused(path, response.status)
                told: dict[str, Any] = await response.json()
                return told
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiUnavailable(path, 0, self._pace) from error


class Subscribers:
    """`keys` maps the name of an app to its API key; traffic is spread over them as the world spreads it."""

    def __init__(
        self, world: World, *, api_url: str, keys: Mapping[str, str], handsets: Handsets, clock: Clock = utc_now
    ) -> None:
        if not keys:
            raise ValueError("subscribers need the API key of at least one app")
        self.tally = Tally()
        self._world = world
        self._api_url = api_url
        self._keys = dict(keys)
        self._handsets = handsets
        self._clock = clock
        self._rng = world.rng(_STREAM)
        self._lifetime_seconds = LIFETIME_SECONDS * world.pace
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=15), connector=aiohttp.TCPConnector(limit=200)
        )
        self._api = Api(self._session, self._api_url, pace=self._world.pace)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def run(self, *, rate_per_minute: float) -> None:
        """Live traffic until cancelled: `rate_per_minute` verifications in the mean of a week, with its season.

        When it is cancelled everybody puts the handset down at once.
        """
        room = asyncio.Semaphore(UNDER_WAY_MAX)
        async with asyncio.TaskGroup() as group:
            while True:
                at = self._clock()
                rate = max(rate_per_minute * (1 + MESSAGES_PER_VERIFICATION) * self._world.busy(at), 1e-6)
                await asyncio.sleep(self._rng.exponential(60 / rate))
                await room.acquire()
                wish = self._world.wish(self._rng, self._clock())
                wants_code = self._rng.random() * (1 + MESSAGES_PER_VERIFICATION) < 1 or wish.bot
                person = self.verification(wish) if wants_code else self.message(wish)
                group.create_task(person).add_done_callback(lambda _: room.release())

    async def send_and_verify(self, count: int, *, at_once: int = 20) -> Tally:
        """`count` people who want a code, `at_once` at a time, no season and no machines. Returns when all are through."""
        room = asyncio.Semaphore(at_once)

        async def one(wish: Wish) -> None:
            async with room:
                await self.verification(wish)

        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                wish = self._world.wish(self._rng, self._clock())
                group.create_task(one(Wish(wish.area, wish.app, wish.purpose, wish.template, bot=False)))
        return self.tally

    async def verification(self, wish: Wish) -> None:
        """One person who wants a code, from asking to approval or giving up. What the API refuses is counted."""
        number = self._new_number(wish)
        person = self._world.person(self._rng)
        with self._handsets.watch(number) as inbox:
            try:
                if wish.app == OWN_CODES_APP and wish.app in self._keys:
                    await self._with_own_code(wish, number, inbox, person)
                else:
                    await self._with_our_code(wish, number, inbox, person)
            except (ApiRefused, ApiUnavailable) as error:
                self._count(error)

    async def message(self, wish: Wish) -> None:
        """One notification or marketing message to somebody."""
        share = NOTIFICATIONS_PER_VERIFICATION / MESSAGES_PER_VERIFICATION
        category: Category = "notification" if self._rng.random() < share else "marketing"
        text = next(text for text in TEXTS if text.category == category)
        body = {
            "to": self._new_number(wish),
            "category": category,
            "template": text.name,
            "locale": COUNTRIES[wish.area.country].locale,
            "variables": {name: str(self._rng.choice(VALUES[name])) for name in text.variables},
        }
        try:
            await self._api.send("/v1/messages", body, key=self._key(MESSAGES_APP))
            self.tally.messages += 1
        except (ApiRefused, ApiUnavailable) as error:
            self._count(error)

    async def _with_our_code(self, wish: Wish, number: str, inbox: Inbox, person: Person) -> None:
        """Ask, wait, ask again, give up; type what arrived. A number that the API refuses is not asked for again."""
        body = self._order(wish, number)
        verification, code = "", None
        for patience_seconds, asks_again in zip(person.patience_seconds, person.asks_again, strict=True):
            try:
                again = bool(verification)
                verification = await self._api.send("/v1/verifications", body, key=self._key(wish.app))
                self.tally.resent += again
                self.tally.sent += not again
            except ApiUnavailable as error:  # nobody could send it, or it is too early: they go on looking
                self._count(error)
            if wish.bot:
                return
            code = await _code_within(inbox, patience_seconds)
            if code is not None or not asks_again:
                break
        if code is None and person.comes_back:
            code = await _code_within(inbox, self._lifetime_seconds)
        if code is None or not verification or not person.enters:
            self.tally.abandoned += 1
            return
        await self._enter(wish, verification, code, person)

    async def _enter(self, wish: Wish, verification: str, code: str, person: Person) -> None:
        await asyncio.sleep(person.reads_seconds)
        share = np.array([self._world.denied(wish.app, self._clock())])
        spoiled = person.mistypes + int(draw_denials(self._rng, share)[0])
        tries = [_mistyped(code, self._rng) for _ in range(spoiled)] + [code]
        for typed in tries[:CHECKS_MAX]:
            await asyncio.sleep(person.types_seconds)
            path = f"/v1/verifications/{verification}/check"
            told = await self._api.tell(path, {"code": typed}, key=self._key(wish.app))
            self.tally.checks[str(told["status"])] += 1
            self.tally.approved += told["status"] == "approved"

    async def _with_own_code(self, wish: Wish, number: str, inbox: Inbox, person: Person) -> None:
        """The app made the code and checks it itself; it tells the API which message was of use."""
        code = f"{self._rng.integers(10**6):06d}"
        body = {**self._order(wish, number), "category": "code", "variables": {"code": code, "minutes": "10"}}
        message = await self._api.send("/v1/messages", body, key=self._key(wish.app))
        self.tally.sent += 1
        if wish.bot:
            return
        arrived = await _code_within(inbox, person.patience_seconds[0])
        if arrived is None and person.comes_back:
            arrived = await _code_within(inbox, self._lifetime_seconds)
        if arrived != code or not person.enters:
            self.tally.abandoned += 1
            return
        await asyncio.sleep(person.reads_seconds + person.types_seconds * (1 + person.mistypes))
        await self._api.tell("/v1/conversions", {"id": message}, key=self._key(wish.app))
        self.tally.approved += 1

    def _order(self, wish: Wish, number: str) -> dict[str, Any]:
        return {
            "to": number,
            "purpose": wish.purpose,
            "template": wish.template,
            "locale": COUNTRIES[wish.area.country].locale,
        }

    def _count(self, error: ApiRefused | ApiUnavailable) -> None:
        if error.status:
            self.tally.refused[error.status] += 1
        else:
            self.tally.unreachable += 1

    def _key(self, app: str) -> str:
        return self._keys[app] if app in self._keys else next(iter(self._keys.values()))

    def _new_number(self, wish: Wish) -> str:
        """A number of the area that nobody is looking at."""
        area = wish.area
        while self._handsets.is_watched(number := make_number(self._rng, area.country, area.carrier, area.region)):
            pass
        return number


async def _code_within(inbox: Inbox, seconds: float) -> str | None:
    """The first code that the handset shows within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = _CODE.search(await inbox.get())
                if found:
                    return found[0]
    except TimeoutError:
        return None


def _mistyped(code: str, rng: np.random.Generator) -> str:
    """The code with one digit wrong."""
    place = int(rng.integers(len(code)))
    wrong = (int(code[place]) + int(rng.integers(1, 10))) % 10
    return f"{code[:place]}{wrong}{code[place + 1 :]}"


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if re.fullmatch(r"\d{1,6}", text) else None
