"""Simulated people against a small API that keeps the same promises as the real one and can be told to misbehave."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web

from core.numbers import read
from sandbox.handsets import Handsets
from sandbox.subscribers import Subscribers, Tally
from sandbox.world import Wish, World, areas
from sandbox.world.traffic import MESSAGES_APP, OWN_CODES_APP

NOON = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
KEYS = {"shop": "key of the shop", "bank": "key of the bank", OWN_CODES_APP: "key of the ride"}


class TwinApi:
    """Sends a code for every verification straight to the handset, unless told otherwise, and checks it."""

    def __init__(self, handsets: Handsets) -> None:
        self.handsets = handsets
        self.url = ""
        self.lost = 0  # how many of the next messages never arrive
        self.refusals: list[tuple[int, dict[str, str]]] = []  # status and headers, answered first, in order
        self.calls: Counter[str] = Counter()
        self.keys: set[str] = set()
        self.idempotency: list[str] = []
        self.codes: dict[str, list[str]] = {}
        self.ids: dict[tuple[str, str], str] = {}
        self.converted: list[str] = []
        self.bodies: list[dict[str, Any]] = []

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        self.keys.add(request.headers["Authorization"].removeprefix("Bearer "))
        path = request.path.rpartition("/")[2]
        self.calls[path] += 1
        if path in ("verifications", "messages"):
            self.idempotency.append(request.headers["Idempotency-Key"])
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return web.Response(status=status, headers=headers)
        return web.json_response(await getattr(self, f"on_{path}")(request, body), status=201)

    async def on_verifications(self, _: web.Request, body: dict[str, Any]) -> dict[str, Any]:
        identity = self.ids.setdefault((body["to"], body["purpose"]), str(uuid4()))
        code = f"{len(self.idempotency):06d}"
        self.codes.setdefault(identity, []).append(code)
        await self.arrive(body["to"], f"{code} is your code, good for 10 minutes")
        return {"id": identity, "status": "pending"}

    async def on_messages(self, _: web.Request, body: dict[str, Any]) -> dict[str, Any]:
        await self.arrive(body["to"], body.get("variables", {}).get("code", "news"))
        return {"id": str(uuid4())}

    async def on_check(self, request: web.Request, body: dict[str, Any]) -> dict[str, Any]:
        good = body["code"] in self.codes[request.path.split("/")[3]]
        return {"status": "approved" if good else "wrong"}

    async def on_conversions(self, _: web.Request, body: dict[str, Any]) -> dict[str, Any]:
        self.converted.append(body["id"])
        return {"id": body["id"], "attempt": 1}

    async def arrive(self, number: str, text: str) -> None:
        assert read(number).country
        if self.lost:
            self.lost -= 1
            return
        await self.handsets.deliver(number, text)


@asynccontextmanager
async def subscribers_of(
    *, keys: dict[str, str] | None = None, seed: int = 1, pace: float = 0.001
) -> AsyncIterator[tuple[Subscribers, TwinApi]]:
    handsets = Handsets()
    api = TwinApi(handsets)
    app = web.Application()
    app.router.add_post("/{path:.*}", api.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    world = World(seed=seed, pace=pace)
    try:
        async with Subscribers(
            world, api_url=api.url, keys=keys or {"shop": "key"}, handsets=handsets, clock=lambda: NOON
        ) as people:
            yield people, api
    finally:
        await runner.cleanup()


def wish(*, app: str = "shop", bot: bool = False) -> Wish:
    return Wish(areas()[0], app, "login", "code-plain", bot)


async def test_most_people_are_approved_and_everybody_is_accounted_for():
    async with subscribers_of(keys=KEYS) as (people, api):
        tally = await people.send_and_verify(120)

        assert tally.sent == 120 == tally.approved + tally.abandoned
        assert tally.approved > 100
        assert tally.checks["approved"] + len(api.converted) == tally.approved
        assert tally.checks["wrong"] > 0
        assert api.keys == set(KEYS.values())


async def test_a_mistyped_code_is_followed_by_the_right_one():
    async with subscribers_of() as (people, api):
        tally = await people.send_and_verify(150)

        assert tally.checks["wrong"] > 0
        assert tally.checks["approved"] == tally.approved
        assert api.calls["check"] == sum(tally.checks.values())


async def test_who_gets_nothing_asks_again_or_gives_up():
    async with subscribers_of() as (people, api):
        api.lost = 10_000
        tally = await people.send_and_verify(40)

        assert tally.approved == 0
        assert tally.abandoned == 40
        assert tally.resent > 20
        assert api.calls["verifications"] == 40 + tally.resent


async def test_asking_again_is_a_call_of_its_own():
    async with subscribers_of() as (people, api):
        api.lost = 10
        await people.send_and_verify(40)

        assert len(set(api.idempotency)) == len(api.idempotency) == api.calls["verifications"]


async def test_a_code_of_any_message_of_the_verification_is_entered():
    async with subscribers_of(seed=3) as (people, api):
        api.lost = 30
        tally = await people.send_and_verify(30, at_once=30)

        assert tally.resent > 0
        assert tally.approved > 0
        assert tally.checks["approved"] == tally.approved


async def test_a_call_told_to_come_later_is_repeated_under_the_same_idempotency_key():
    async with subscribers_of() as (people, api):
        api.refusals = [
            (503, {"Retry-After": "0"}),
            (429, {"Retry-After": "0"}),
        ]
        await people.verification(wish())

        assert api.calls["verifications"] == 3
        assert len(set(api.idempotency)) == 1
        assert people.tally.sent == 1


async def test_nobody_waits_longer_than_people_do():
    async with subscribers_of() as (people, api):
        api.refusals = [(429, {"Retry-After": "3600"})] * 20
        async with asyncio.timeout(5):
            await people.verification(wish())

        assert people.tally.sent == 0
        assert people.tally.refused[429] >= 1


async def test_a_refused_call_is_counted_and_not_repeated():
    async with subscribers_of() as (people, api):
        api.refusals = [(422, {})]
        await people.verification(wish())

        assert api.calls["verifications"] == 1
        assert people.tally.refused == {422: 1}
        assert people.tally.approved == 0


async def test_an_api_that_cannot_be_reached_is_counted():
    world = World(seed=1, pace=0.001)
    nowhere = "http://127.0.0.1:1"
    async with Subscribers(world, api_url=nowhere, keys={"shop": "key"}, handsets=Handsets()) as people:
        await people.message(wish())

        assert people.tally.unreachable == 1
        assert people.tally.messages == 0


async def test_an_app_with_codes_of_its_own_sends_a_message_and_tells_what_was_entered():
    async with subscribers_of(keys=KEYS) as (people, api):
        for _ in range(20):
            await people.verification(wish(app=OWN_CODES_APP))

        assert api.calls["messages"] == 20
        assert api.calls["verifications"] == 0
        assert len(api.converted) == people.tally.approved > 10
        assert api.keys == {KEYS[OWN_CODES_APP]}


async def test_without_its_key_such_an_app_uses_codes_of_ours():
    async with subscribers_of() as (people, api):
        await people.verification(wish(app=OWN_CODES_APP))

        assert api.calls["verifications"] == 1


async def test_a_machine_asks_and_enters_nothing():
    async with subscribers_of() as (people, api):
        await people.verification(wish(bot=True))

        assert api.calls == {"verifications": 1}
        assert people.tally.sent == 1


async def test_a_message_fills_every_place_of_its_template():
    async with subscribers_of(keys=KEYS) as (people, api):
        for _ in range(12):
            await people.message(wish())

        assert {body["template"]: list(body["variables"]) for body in api.bodies} == {
            "parcel-arriving": ["window"],
            "weekend-offer": ["percent"],
        }
        assert api.keys == {KEYS[MESSAGES_APP]}
        assert people.tally.messages == 12


async def test_live_traffic_runs_until_cancelled_and_puts_every_handset_down():
    async with subscribers_of(keys=KEYS) as (people, api):
        running = asyncio.create_task(people.run(rate_per_minute=60_000))
        async with asyncio.timeout(10):
            while people.tally.approved < 50 or people.tally.messages < 5:  # noqa: ASYNC110  # counts have no event
                await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

        assert len(api.handsets) == 0


async def test_a_text_for_a_handset_nobody_watches_is_dropped_and_one_owner_is_enough():
    handsets = Handsets()
    await handsets.deliver("somebody", "hello")
    with handsets.watch("somebody") as inbox:
        await handsets.deliver("somebody", "again")

        assert inbox.qsize() == 1
        with pytest.raises(ValueError, match="owner"), handsets.watch("somebody"):
            pass
    assert not handsets.is_watched("somebody")


def test_a_tally_reads_as_one_line():
    tally = Tally(sent=3, approved=2, abandoned=1)
    tally.refused[429] += 2

    assert tally.line() == "sent=3 resent=0 approved=2 abandoned=1 messages=0 refused=2 unreachable=0"
