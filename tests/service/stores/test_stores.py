"""What every store promises, whichever server it stands on."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.facts import (
    AnyFact,
    ApiKey,
    ApiKeyRevocation,
    EncryptedNumber,
    IdempotencyAnswer,
    IdempotencyClaim,
    InboundMessage,
    RequestState,
)
from service.stores import Earlier, Keeping, SendSubject, Store
from service.stores.derive import assemble
from tests.service.stores import facts
from tests.service.stores.facts import NOW, new_hash, new_id


def life_of(request) -> list[AnyFact]:
    return [
        request,
        facts.attempt(request, 1),
        facts.outcome(request, 1, outcome="failed", error_class="provider", error_code="500"),
        facts.attempt(request, 2, cause="failover", provider="beacon"),
        facts.outcome(request, 2, latency_ms=70_000, segments=2),
        facts.receipt(request, 2, stage="interim:ACCEPTD", provider_at=NOW),
        facts.receipt(request, 2, carrier="Nordnetz"),
        facts.check(request, 1),
        facts.check(request, 2, attempt=2, result="approved"),
        facts.approval(request, 2),
    ]


async def test_what_was_written_comes_back_as_it_was(store: Store):
    request = facts.request()
    written = life_of(request)
    await store.write(written)

    assert await store.request(request.id) == assemble(request, written)


async def test_a_fact_is_new_once(any_store: Store):
    request = facts.request()
    first, second = facts.attempt(request, 1), facts.attempt(request, 2)

    assert await any_store.write([request, first]) == [True, True]
    assert await any_store.write([request, first, second, second]) == [False, False, True, False]


async def test_of_a_hundred_writers_of_one_fact_one_is_told_that_it_is_new(any_store: Store):
    request = facts.request()
    told = await asyncio.gather(*(any_store.write([request]) for _ in range(100)))

    assert sum(new for [new] in told) == 1


async def test_writing_nothing_is_allowed(any_store: Store):
    assert await any_store.write([]) == []


async def test_facts_of_every_kind_are_new_once(store: Store):
    request = facts.request()
    kinds: list[AnyFact] = [
        InboundMessage(
            provider="aurora", message_hash=new_hash(), phone_hash=request.phone_hash, at=NOW, keyword="stop"
        ),
        facts.opt_out(request.phone_hash),
        EncryptedNumber(request_id=request.id, at=NOW, key_id="k1", ciphertext=bytes(range(256))),
        IdempotencyClaim(app="shop", idempotency_key="é", at=NOW, fingerprint="f", request_id=request.id),
        IdempotencyAnswer(app="shop", idempotency_key="é", at=NOW, status=200, body=b"\x00{}"),
        ApiKey(key_hash=new_hash(), at=NOW, app="shop", label="the shop", scopes="send,read"),
        ApiKeyRevocation(key_hash=new_hash(), at=NOW),
    ]

    assert await store.write(kinds) == [True] * len(kinds)
    assert await store.write(kinds) == [False] * len(kinds)


async def test_facts_without_their_request_are_no_state_until_it_comes(store: Store):
    request = facts.request()
    await store.write([facts.attempt(request)])

    assert await store.request(request.id) is None

    await store.write([request])

    assert await store.request(request.id) == RequestState(request=request, attempts=(facts.attempt(request),))


async def test_checks_are_told_before_their_request_has_come(own_store: Keeping):
    request = facts.request()
    await own_store.write([facts.check(request, 2), facts.check(request, 1)])

    assert await own_store.checks(request.id) == [facts.check(request, 1), facts.check(request, 2)]
    assert await own_store.checks(facts.new_id()) == []


async def test_of_two_final_receipts_the_first_is_kept(store: Store):
    request = facts.request()
    first, late = facts.receipt(request, status="delivered"), facts.receipt(request, status="failed")
    await store.write([request, first])
    await store.write([late])
    state = await store.request(request.id)

    assert state is not None
    assert state.receipts == (first,)


async def test_the_newest_living_verification_is_found(any_store: Store):
    older = facts.request()
    newer = facts.request(phone_hash=older.phone_hash, at=NOW + timedelta(seconds=1))
    other = facts.request(phone_hash=older.phone_hash, purpose="payment", at=NOW + timedelta(seconds=2))
    await any_store.write([older, newer, facts.attempt(newer), other])
    state = await any_store.living(app="shop", phone_hash=older.phone_hash, purpose="login", now=NOW)

    assert state == RequestState(request=newer, attempts=(facts.attempt(newer),))


@pytest.mark.parametrize("wrong", [{"app": "bank"}, {"purpose": "payment"}, {"phone_hash": "0" * 32}])
async def test_a_verification_of_another_is_not_found(any_store: Store, wrong):
    request = facts.request()
    await any_store.write([request])
    asked = {"app": "shop", "phone_hash": request.phone_hash, "purpose": "login"} | wrong

    assert await any_store.living(**asked, now=NOW) is None


async def test_an_expired_an_approved_and_a_plain_message_do_not_live(any_store: Store):
    number = new_hash()
    expired = facts.request(phone_hash=number, expires_at=NOW + timedelta(seconds=5))
    approved = facts.request(phone_hash=number)
    message = facts.request(phone_hash=number, kind="message", category="notification", expires_at=None)
    await any_store.write([expired, approved, facts.approval(approved), message])
    now = NOW + timedelta(seconds=5)

    assert await any_store.living(app="shop", phone_hash=number, purpose="login", now=now) is None


async def test_what_was_sent_earlier_is_the_living_verification_and_the_codes_of_the_number(any_store: Store):
    request, stranger = facts.request(), facts.request()
    await any_store.write([request, stranger, facts.attempt(request), facts.attempt(request, 2)])
    since = facts.attempt(request, 2).at
    subject = SendSubject(app="shop", phone_hash=request.phone_hash, purpose="login", now=NOW, since=since)

    assert await any_store.earlier(subject) == Earlier(
        living=await any_store.request(request.id), sends=[facts.attempt(request, 2).at]
    )


async def test_a_number_that_nothing_was_sent_to_has_nothing_earlier(any_store: Store):
    subject = SendSubject(app="shop", phone_hash=new_hash(), purpose="login", now=NOW, since=NOW)

    assert await any_store.earlier(subject) == Earlier(living=None, sends=[])


async def test_sends_are_counted_over_all_requests_of_a_number_from_a_moment_on(any_store: Store):
    one = facts.request()
    two = facts.request(phone_hash=one.phone_hash)
    stranger = facts.request()
    sends = [facts.attempt(one, 3), facts.attempt(two, 2), facts.attempt(one, 1), facts.attempt(stranger, 4)]
    await any_store.write(sends)
    since = NOW + timedelta(seconds=2)

    assert await any_store.sends_since(phone_hash=one.phone_hash, category="code", since=since) == [
        sends[1].at,
        sends[0].at,
    ]


async def test_an_attempt_that_stands_in_for_one_that_failed_is_no_send_more(any_store: Store):
    request = facts.request()
    causes = ("first", "failover", "failover", "resend")
    sends = [facts.attempt(request, number, cause=cause) for number, cause in enumerate(causes, start=1)]
    await any_store.write([request, *sends])

    assert await any_store.sends_since(phone_hash=request.phone_hash, category="code", since=NOW) == [
        sends[0].at,
        sends[3].at,
    ]


async def test_sends_of_one_category_do_not_count_for_another(any_store: Store):
    code = facts.request()
    parcels = [
        facts.request(phone_hash=code.phone_hash, kind="message", category="notification", expires_at=None)
        for _ in range(3)
    ]
    await any_store.write([row for parcel in parcels for row in (parcel, facts.attempt(parcel))])
    await any_store.write([code, facts.attempt(code)])
    counted = {
        category: len(await any_store.sends_since(phone_hash=code.phone_hash, category=category, since=NOW))
        for category in ("code", "notification", "marketing")
    }

    assert counted == {"code": 1, "notification": 3, "marketing": 0}


async def test_the_latest_word_of_a_subscriber_counts_however_late_it_comes(store: Store):
    number = new_hash()
    stop = facts.opt_out(number)
    start = facts.opt_out(number, at=NOW + timedelta(hours=1), keyword="start")
    stop_again = facts.opt_out(number, at=NOW + timedelta(hours=1))

    assert not await store.opted_out(number)

    await store.write([start])
    await store.write([stop])

    assert not await store.opted_out(number)

    await store.write([stop_again])

    assert await store.opted_out(number)


async def test_a_word_that_comes_again_later_is_the_same_word(store: Store):
    number = new_hash()
    stop = facts.opt_out(number)
    start = facts.opt_out(number, at=NOW + timedelta(hours=1), keyword="start")
    again = facts.opt_out(number, message_hash=stop.message_hash, at=NOW + timedelta(hours=2))

    assert await store.write([stop, start]) == [True, True]
    assert await store.write([again]) == [False]
    assert not await store.opted_out(number)


async def test_a_revoked_key_counts_no_longer(store: Store):
    key = ApiKey(key_hash=new_hash(), at=NOW, app="shop", label="the shop", scopes="send,read")

    assert await store.api_key(key.key_hash) is None

    await store.write([key])

    assert await store.api_key(key.key_hash) == key

    await store.write([ApiKeyRevocation(key_hash=key.key_hash, at=NOW)])

    assert await store.api_key(key.key_hash) is None


async def test_a_hundred_calls_with_one_idempotency_key_have_one_winner(any_store: Store):
    claims = [
        IdempotencyClaim(app="shop", idempotency_key="order", at=NOW, fingerprint="f", request_id=new_id())
        for _ in range(100)
    ]
    told = await asyncio.gather(*(any_store.claim(claim) for claim in claims))
    [winner] = [claim for claim, answer in zip(claims, told, strict=True) if answer.ours]

    assert {answer.holder for answer in told} == {winner}


async def test_whoever_comes_after_the_answer_gets_the_answer(any_store: Store):
    mine = IdempotencyClaim(app="shop", idempotency_key="order", at=NOW, fingerprint="f", request_id=new_id())
    other = IdempotencyClaim(app="shop", idempotency_key="order", at=NOW, fingerprint="g", request_id=new_id())
    answer = IdempotencyAnswer(app="shop", idempotency_key="order", at=NOW, status=201, body=b'{"id":1}')
    first = await any_store.claim(mine)
    await any_store.write([answer])
    again = await any_store.claim(other)

    assert (first.ours, first.answer) == (True, None)
    assert (again.ours, again.holder, again.answer) == (False, mine, answer)


async def test_a_probe_passes_on_a_store_that_is_well(any_store: Store):
    await any_store.probe()
    await any_store.probe()


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
async def test_any_order_and_repetition_of_the_same_facts_gives_the_same_state(store: Store, data):
    request = facts.request()
    written = life_of(request)
    shuffled = data.draw(st.permutations(written)) + data.draw(st.lists(st.sampled_from(written), max_size=8))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(shuffled) - 1), max_size=4)))
    told: list[bool] = []
    for start, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True):
        told += await store.write(shuffled[start:end])

    assert await store.request(request.id) == assemble(request, written)
    assert sum(told) == len(written)
