"""Whatever is wrong with a call, it gets a clear problem document that repeats nothing, and nothing else happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from core.settings.sending import Template
from service.api.problems import TABLE
from service.facts import Attempt, Request
from service.keys import revocation
from tests.support.house import ACCEPTED, House, open_house
from tests.support.providers import a_number

VERIFICATIONS, MESSAGES = "/v1/verifications", "/v1/messages"


def verification(**fields: Any) -> dict[str, Any]:
    return {"to": a_number(), "purpose": "login"} | fields


def message(**fields: Any) -> dict[str, Any]:
    return {"to": a_number(), "category": "notification", "text": "hello"} | fields


BAD: list[tuple[str, str, Callable[[], object], int, str, str]] = [
    ("no number at all", VERIFICATIONS, lambda: verification(to="hello"), 422, "invalid-number", "to"),
    ("a number without its country", VERIFICATIONS, lambda: verification(to="5" * 9), 422, "invalid-number", "to"),
    ("a number that is too long", VERIFICATIONS, lambda: verification(to="+1" + "5" * 25), 422, "invalid-number", "to"),
    ("a number of a wrong type", VERIFICATIONS, lambda: verification(to=5), 422, "invalid-fields", "to"),
    ("no number", VERIFICATIONS, lambda: {"purpose": "login"}, 422, "invalid-fields", "to"),
    ("a number as the purpose", VERIFICATIONS, lambda: verification(purpose=a_number()), 422, "invalid-fields", "purpose"),
    ("seven digits in the purpose", VERIFICATIONS, lambda: verification(purpose="p" + "1" * 7), 422, "invalid-fields", "purpose"),
    ("a line break after the purpose", VERIFICATIONS, lambda: verification(purpose="login\n"), 422, "invalid-fields", "purpose"),
    ("a line break after the locale", VERIFICATIONS, lambda: verification(locale="en\n"), 422, "invalid-fields", "locale"),
    ("control characters in a variable", VERIFICATIONS, lambda: verification(template="named", variables={"name": "a\x1bb"}), 422, "text-unusable", "text"),
    ("variables that make a text too long", VERIFICATIONS, lambda: verification(template="named", variables={"name": "x" * 200}), 422, "text-unusable", "text"),
    ("an unknown template", VERIFICATIONS, lambda: verification(template="nope"), 422, "unknown-template", "template"),
    ("a template that takes no code", VERIFICATIONS, lambda: verification(template="news"), 422, "unknown-template", "template"),
    ("a variable missing", MESSAGES, lambda: message(text="", template="news"), 422, "variables-missing", "variables"),
    ("a field nobody knows", VERIFICATIONS, lambda: verification(nmber=1), 422, "invalid-fields", "nmber"),
    ("a number as a field", VERIFICATIONS, lambda: verification(**{a_number(): 1}), 422, "invalid-fields", "?"),
    ("text and template", MESSAGES, lambda: message(template="code"), 422, "text-unusable", "text"),
    ("neither text nor template", MESSAGES, lambda: message(text=""), 422, "text-unusable", "text"),
    ("a blank text", MESSAGES, lambda: message(text=" \n"), 422, "text-unusable", "text"),
    ("control characters", MESSAGES, lambda: message(text="a\x00b"), 422, "text-unusable", "text"),
    ("a number as the category", MESSAGES, lambda: message(category=a_number()), 422, "invalid-fields", "category"),
    ("JSON that breaks off", VERIFICATIONS, lambda: b'{"to": "', 400, "malformed", ""),
    ("no JSON", VERIFICATIONS, lambda: b"to=x", 400, "malformed", ""),
    ("not UTF-8", VERIFICATIONS, lambda: b'{"to": "\xff"}', 400, "malformed", ""),
    ("a body nested deeply", VERIFICATIONS, lambda: b"[" * 50_000, 400, "malformed", ""),
    ("an array", VERIFICATIONS, lambda: [1], 422, "invalid-fields", "body"),
    ("no body", VERIFICATIONS, lambda: None, 422, "invalid-fields", "body"),
    ("a body that is too large", VERIFICATIONS, lambda: verification(variables={"a": "x" * 300_000}), 413, "too-large", ""),
]  # fmt: skip


@pytest.fixture
async def house(tmp_path):
    texts = [Template(name="news", text="News: {what}"), Template(name="named", text="{name} " * 5 + "{code}")]
    async with open_house(tmp_path, templates=texts) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "body", "status", "slug", "field"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
async def test_a_bad_body_is_refused_clearly(
    house: House, path: str, body: Callable[[], object], status: int, slug: str, field: str
):
    answer = await house.call("POST", path, body())

    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == f"/problems/{slug}"
    assert [row["field"] for row in answer.json().get("errors", [])] == ([field] if field else [])
    assert not house.facts(Request)
    assert not house.sent


@pytest.mark.parametrize(
    ("key", "status", "slug"),
    [("", 401, "key-refused"), ("stranger", 401, "key-refused"), ("operator", 403, "scope-missing")],
)
async def test_a_wrong_key_is_told_before_the_body_is_read(house: House, key: str, status: int, slug: str):
    house.keys["stranger"] = "hgk_" + "x" * 43
    answer = await house.call("POST", VERIFICATIONS, b"{", key=key)

    assert answer.status_code == status
    assert answer.json()["type"] == f"/problems/{slug}"
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


async def test_a_key_that_was_revoked_counts_no_longer(house: House):
    secret = house.settings.api.key_secret.get_secret_value()
    assert (await house.verify(a_number())).status_code == 201
    await house.store.write([revocation(house.keys["shop"], secret=secret, now=house.clock())])
    house.clock.advance(seconds=house.settings.api.key_cache_seconds)

    assert (await house.verify(a_number())).status_code == 401


async def test_a_key_outlives_the_store_for_a_while(house: House):
    sent = (await house.verify(a_number())).json()
    house.clock.advance(seconds=house.settings.api.key_cache_seconds + 1)
    house.store.available = False
    known = await house.check(sent["id"], house.code())
    house.keys["stranger"] = "hgk_" + "x" * 43
    stranger = await house.verify(a_number(), key="stranger")

    assert known.status_code == 503  # let in, and told that the store is down
    assert known.json()["type"] == "/problems/unavailable"
    assert known.headers["Retry-After"] == "2"
    assert stranger.status_code == 503


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/v1/nothing", 404, "not-found"),
        ("PUT", VERIFICATIONS, 405, "method-not-allowed"),
        ("GET", f"{VERIFICATIONS}/{UUID(int=4)}", 404, "unknown-id"),
        ("GET", f"{MESSAGES}/{UUID(int=4)}", 404, "unknown-id"),
        ("GET", f"{VERIFICATIONS}/no-id", 404, "not-found"),
        ("POST", "/v1/receipts/nobody", 404, "unknown-provider"),
        ("POST", "/v1/inbound/nobody", 404, "unknown-provider"),
        ("POST", "/v1/receipts/route", 403, "forged"),
        ("POST", "/v1/inbound/route", 403, "forged"),
        ("GET", "/problems/nothing", 404, "unknown-id"),
    ],
)
async def test_a_wrong_place_is_told_as_a_problem(house: House, method: str, path: str, status: int, slug: str):
    answer = await house.call(method, path, b"[]" if method == "POST" else None)

    assert answer.status_code == status
    assert answer.json()["type"] == f"/problems/{slug}"
    assert ("Allow" in answer.headers) == (status == 405)


async def test_no_provider_for_the_country_is_told_before_anything_is_kept(tmp_path):
    async with open_house(tmp_path, providers={"route": {"countries": ["XX"]}}) as house:
        answer = await house.verify(a_number())

        assert answer.status_code == 422
        assert answer.json()["type"] == "/problems/no-route"
        assert not house.facts(Attempt)


async def test_a_store_that_is_down_is_told_with_when_to_come_again(house: House):
    await house.verify(a_number())
    house.store.available = False
    answer = await house.verify(a_number())

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert len(house.sent) == 1


async def test_calls_beyond_the_bound_are_refused_at_once_and_served_later(tmp_path):
    async with open_house(tmp_path, api={"requests_waiting_max": 1}) as house:
        arrived, leave = asyncio.Event(), asyncio.Event()

        async def wait():
            arrived.set()
            await leave.wait()
            return ACCEPTED

        house.providers["route"].answers = [wait]
        first = asyncio.create_task(house.verify(a_number()))
        await arrived.wait()
        second = await house.verify(a_number())
        health = await house.call("GET", "/healthz", key="")
        leave.set()

        assert second.status_code == 503
        assert second.json()["type"] == "/problems/overloaded"
        assert second.headers["Retry-After"] == "1"
        assert health.status_code == 200
        assert (await first).status_code == 201
        assert (await house.verify(a_number())).status_code == 201


async def test_a_fault_of_ours_is_told_without_its_words(house: House, capsys):
    async def break_down():
        raise RuntimeError(f"cannot send to {house.sent[-1].number}")

    house.providers["route"].answers = [break_down]
    answer = await house.verify(a_number())

    assert answer.status_code == 500
    assert answer.json()["type"] == "/problems/internal"
    told = answer.text + capsys.readouterr().out
    assert house.sent[-1].number.lstrip("+") not in told


async def test_every_problem_type_leads_to_its_meaning(house: House):
    for row in TABLE:
        answer = await house.call("GET", f"/problems/{row.slug}", key="")

        assert answer.json()["status"] == row.status
        assert answer.json()["meaning"]
