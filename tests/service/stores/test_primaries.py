"""What a home of all facts promises beyond a store: the earlier of two stays where a replay says so, and what is recent is found."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from core.ids import time_of
from service.stores import Primary
from service.stores.sql import SqlStore
from tests.service.stores import facts
from tests.service.stores.conftest import SQL, store_of

LATER = timedelta(seconds=3)


@pytest.fixture(params=["memory", *SQL])
async def primary(request, tmp_path):
    made = await store_of(request, tmp_path)
    if isinstance(made, SqlStore):
        await made.prepare()
    yield made
    await made.close()


async def test_an_earlier_receipt_takes_the_place_of_a_later_one(primary: Primary):
    request = facts.request()
    first = facts.receipt(request, status="failed", raw_status="UNDELIV", error_class="handset")
    other = facts.receipt(request, 2)
    await primary.write([request, facts.receipt(request, at=first.at + LATER), other])
    await primary.keep_first([first])

    assert (await primary.request(request.id)).receipts == (first, other)


async def test_a_later_one_changes_nothing_and_one_that_is_not_there_is_not_made(primary: Primary):
    request = facts.request()
    first = facts.receipt(request)
    await primary.write([request, first, facts.approval(request)])
    await primary.keep_first([facts.receipt(request, at=first.at + LATER, status="failed"), facts.receipt(request, 2)])
    state = await primary.request(request.id)

    assert state.receipts == (first,)
    assert state.approval == facts.approval(request)


async def test_a_check_gets_another_number_and_so_does_the_approval_that_it_made(primary: Primary):
    request = facts.request()
    wrong, right = facts.check(request, 1), facts.check(request, 2, result="approved", at=facts.NOW + LATER)
    approval = facts.approval(request, 2, at=right.at)
    await primary.write([request, wrong, right, approval])
    await primary.renumber(right, 600)
    state = await primary.request(request.id)

    assert state.checks == (wrong, msgspec.structs.replace(right, check=600))
    assert state.approval == msgspec.structs.replace(approval, check=600)


async def test_no_check_gets_the_number_of_another_one(primary: Primary):
    request = facts.request()
    one, other = facts.check(request, 1), facts.check(request, 2, at=facts.NOW + LATER)
    await primary.write([request, one, other])
    await primary.renumber(one, 2)

    assert await primary.checks(request.id) == [one, other]


async def test_outcomes_and_checks_are_found_by_when_they_were_made_and_their_requests_begun(primary: Primary):
    request = facts.request()
    begun = time_of(request.id)
    outcome, check = facts.outcome(request), facts.check(request, 1)
    await primary.write([request, facts.attempt(request), outcome, check, facts.check(request, 2, at=check.at + LATER)])
    around = (begun, begun + LATER)

    assert set(await primary.made_between(begun=around, made=(outcome.at, check.at))) == {outcome, check}
    assert await primary.made_between(begun=(begun - LATER, begun), made=(outcome.at, check.at)) == []
