"""The two calls that go past the framework are answered as the framework would: a slash at the end takes its way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.house import House
from tests.support.providers import a_number

CHECK = f"/v1/verifications/{uuid4()}/check"
BODIES: dict[str, tuple[str, Any]] = {
    "a number that is none": ("/v1/verifications", {"to": "12", "purpose": "login"}),
    "a field that is unknown": ("/v1/verifications", {"to": "+", "purpose": "login", "more": 1}),
    "a field that is missing": ("/v1/verifications", {"purpose": "login"}),
    "a template that is unknown": ("/v1/verifications", {"to": a_number(), "purpose": "login", "template": "none"}),
    "no body": ("/v1/verifications", None),
    "no JSON": ("/v1/verifications", b"{"),
    "no UTF-8": ("/v1/verifications", b'{"to": "\xff"}'),
    "a body that is too large": ("/v1/verifications", b'{"to": "' + b"1" * 300_000 + b'"}'),
    "a code for nothing": (CHECK, {"code": "123456"}),
    "a code that is no text": (CHECK, {"code": 123456}),
    "an empty code": (CHECK, {"code": ""}),
    "an id that is none": ("/v1/verifications/1/check", {"code": "123456"}),
    "another place": ("/v1/verifications/1/checks", {"code": "123456"}),
}


def said(answer: httpx.Response) -> object:
    return answer.status_code, dict(answer.headers), answer.content


async def both(house: House, path: str, body: object, **more: Any) -> tuple[object, object]:
    return said(await house.call("POST", path, body, **more)), said(await house.call("POST", f"{path}/", body, **more))


@pytest.mark.parametrize("name", BODIES)
async def test_whatever_is_wrong_with_a_call_is_told_alike(house: House, name: str):
    express, framework = await both(house, *BODIES[name])

    assert express == framework


@pytest.mark.parametrize("key", ["", "operator"])
async def test_who_may_not_is_told_alike(house: House, key: str):
    for path, body in (("/v1/verifications", {"to": a_number(), "purpose": "login"}), (CHECK, {"code": "1"})):
        express, framework = await both(house, path, body, key=key)

        assert express == framework


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_an_idempotency_key_that_cannot_be_used_is_told_alike(house: House, key: str):
    body = {"to": a_number(), "purpose": "login"}
    express, framework = await both(house, "/v1/verifications", body, headers={"Idempotency-Key": key})

    assert express == framework
    assert not house.sent


async def test_a_call_made_again_the_other_way_is_answered_again(house: House):
    body, headers = {"to": a_number(), "purpose": "login"}, {"Idempotency-Key": "one"}
    first = await house.call("POST", "/v1/verifications", body, headers=headers)
    express, framework = await both(house, "/v1/verifications", body, headers=headers)

    assert express == framework
    assert first.status_code == 201
    assert first.headers["content-type"] == "application/json"
    assert len(house.sent) == 1


async def test_a_body_that_comes_in_pieces_is_read(house: House):
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"code": '
        yield b'"123456"}'

    headers = {"Authorization": f"Bearer {house.keys['shop']}"}
    answer = await house.client.post(CHECK, content=pieces(), headers=headers)

    assert answer.json() == {"status": "expired", "checks_left": 0}


async def test_a_store_that_is_away_is_told_alike(house: House):
    house.store.available = False
    express, framework = await both(house, CHECK, {"code": "1"})

    assert express == framework


async def test_both_ways_are_counted_as_the_same_call(house: House):
    await both(house, CHECK, {"code": "1"})
    await both(house, "/v1/verifications", {"to": a_number(), "purpose": "login"})
    counted = {
        (sample.labels["route"], sample.value)
        for metric in house.service.telemetry.calls.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }

    assert counted == {
        ("/v1/verifications/{verification_id}/check", 2.0),
        ("/v1/verifications", 1.0),
    }
