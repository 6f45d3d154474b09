"""A check is counted before it is answered, and a verification is approved once, however many ask at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from service.stores import Store
from service.stores.sql import SqlStore
from tests.service.stores import facts
from tests.service.stores.conftest import SQL, store_settings
from tests.service.stores.facts import NOW, order


async def test_checks_are_numbered_and_the_rest_is_told(store: Store):
    request = facts.request()
    await store.write([request])
    told = [await store.check(order(request, checks_max=3)) for _ in range(4)]

    assert [(verdict.check, verdict.result, verdict.checks_left) for verdict in told] == [
        (1, "wrong", 2),
        (2, "wrong", 1),
        (3, "wrong", 0),
        (0, "too_many", 0),
    ]


async def test_a_right_code_approves_once(store: Store):
    request = facts.request()
    await store.write([request])
    first = await store.check(order(request, attempt=2))
    again = await store.check(order(request, attempt=1))
    state = await store.request(request.id)

    assert (first.check, first.result) == (1, "approved")
    assert (again.check, again.result) == (0, "already_approved")
    assert state is not None
    assert state.approval is not None
    assert (state.approval.check, state.approval.attempt) == (1, 2)
    assert [row.result for row in state.checks] == ["approved"]


@pytest.mark.parametrize("attempt", [0, 1])
async def test_a_call_that_asks_again_learns_what_was_decided(own_store: Store, attempt: int):
    request = facts.request()
    await own_store.write([request])
    unheard = order(request, attempt=attempt)
    before = await own_store.check(unheard)
    again = await own_store.check(msgspec.structs.replace(unheard, again=True))
    first = await own_store.check(msgspec.structs.replace(order(request), at=NOW + timedelta(seconds=1), again=True))

    assert again == before
    assert first.check == (0 if attempt else 2)


async def test_a_right_code_that_comes_too_late_is_counted_and_not_approved(any_store: Store):
    request = facts.request()
    await any_store.write([request])
    verdict = await any_store.check(order(request, attempt=1, expired=True))
    state = await any_store.request(request.id)

    assert verdict.result == "expired"
    assert state is not None
    assert (len(state.checks), state.approval) == (1, None)


async def test_the_right_code_after_the_last_check_is_refused(any_store: Store):
    request = facts.request()
    await any_store.write([request, facts.check(request, 1)])
    await any_store.check(order(request, checks_max=2))

    assert (await any_store.check(order(request, attempt=1, checks_max=2))).result == "too_many"


async def test_of_a_hundred_right_checks_at_once_one_approves(any_store: Store):
    request = facts.request()
    await any_store.write([request])
    told = await asyncio.gather(*(any_store.check(order(request, attempt=1)) for _ in range(100)))
    state = await any_store.request(request.id)

    assert Counter(verdict.result for verdict in told) == {"approved": 1, "already_approved": 99}
    assert state is not None
    assert len(state.checks) == 1


async def test_of_a_hundred_wrong_checks_at_once_no_more_are_counted_than_allowed(store: Store):
    request = facts.request()
    await store.write([request])
    told = await asyncio.gather(*(store.check(order(request)) for _ in range(100)))
    state = await store.request(request.id)

    assert Counter(verdict.result for verdict in told) == {"wrong": 5, "too_many": 95}
    assert state is not None
    assert [row.check for row in state.checks] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", SQL)
async def test_two_instances_together_count_no_more_checks_than_allowed_and_approve_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
):
    settings = store_settings(kind, tmp_path, request)
    instances = [SqlStore(settings), SqlStore(settings)]
    wrong, right = facts.request(), facts.request()
    await instances[0].write([wrong, right])
    orders = [order(wrong), order(right, attempt=1)] * 50
    told = await asyncio.gather(*(instances[place % 4 // 2].check(row) for place, row in enumerate(orders)))
    state = await instances[0].request(wrong.id)
    await asyncio.gather(*(instance.close() for instance in instances))

    assert Counter(verdict.result for verdict in told) == {
        "wrong": 5,
        "too_many": 45,
        "approved": 1,
        "already_approved": 49,
    }
    assert state is not None
    assert [row.check for row in state.checks] == [1, 2, 3, 4, 5]


async def test_checks_of_a_request_that_is_not_here_yet_count_too(store: Store):
    request = facts.request()
    told = [await store.check(order(request, checks_max=2)) for _ in range(3)]

    assert [(verdict.check, verdict.result) for verdict in told] == [(1, "wrong"), (2, "wrong"), (0, "too_many")]
