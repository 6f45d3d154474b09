"""A call that is made again with its Idempotency-Key is answered again, not done again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from core.ids import time_of
from service.facts import AnyFact, Attempt, AttemptOutcome, IdempotencyAnswer, IdempotencyClaim, Request
from service.providers.base.submission import Answer
from service.stores import Cutoffs
from service.stores.faults import FaultClass, StoreFault
from service.stores.memory import MemoryStore
from tests.support.house import ACCEPTED, House, open_house
from tests.support.providers import a_number


def keyed(key: str = "") -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid4())}


async def test_the_first_answer_comes_again_and_nothing_is_sent_again(house: House):
    number, headers = a_number(), keyed()
    first = await house.verify(number, headers=headers)
    again = await house.verify(number, headers=headers)

    assert again.status_code == first.status_code == 201
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(house.sent) == 1


async def test_of_a_hundred_parallel_calls_one_wins(house: House):
    number, headers = a_number(), keyed()
    answers = await asyncio.gather(*(house.verify(number, headers=headers) for _ in range(100)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert len(house.sent) == 1


async def test_the_key_of_another_body_or_path_is_refused(house: House):
    headers, number = keyed(), a_number()
    await house.verify(number, headers=headers)
    body = {"to": number, "category": "code", "text": "hello"}
    other_body = await house.verify(number, "pay", headers=headers)
    other_path = await house.call("POST", "/v1/messages", body, headers=headers)

    assert {other_body.status_code, other_path.status_code} == {422}
    assert other_body.json()["type"] == "/problems/idempotency-key-reused"


async def test_two_apps_may_use_the_same_key(house: House):
    headers = keyed("order-1")
    answers = [await house.verify(a_number(), key=app, headers=headers) for app in ("shop", "bank")]

    assert [answer.status_code for answer in answers] == [201, 201]


async def test_while_the_first_call_is_in_flight_the_second_is_told_so(house: House):
    number, headers = a_number(), keyed()
    arrived, leave = asyncio.Event(), asyncio.Event()

    async def wait():
        arrived.set()
        await leave.wait()
        return ACCEPTED

    house.providers["route"].answers = [wait]
    first = asyncio.create_task(house.verify(number, headers=headers))
    await arrived.wait()
    second = await house.verify(number, headers=headers)
    leave.set()

    assert second.status_code == 409
    assert "Retry-After" in second.headers
    assert (await first).status_code == 201


async def test_a_call_that_was_refused_before_anything_was_done_may_be_made_again(house: House):
    number, headers = a_number(), keyed()
    await house.verify(number)
    early = await house.verify(number, headers=headers)
    house.clock.advance(seconds=30)
    later = await house.verify(number, headers=headers)

    assert early.status_code == 429
    assert later.status_code == 200
    assert later.json()["attempt"] == 2


async def test_a_bad_body_does_not_use_up_the_key(house: House):
    headers = keyed()
    bad = await house.verify("no number", headers=headers)
    good = await house.verify(a_number(), headers=headers)

    assert (bad.status_code, good.status_code) == (422, 201)


async def test_the_refusal_of_every_provider_is_an_answer_and_is_kept(house: House):
    number, headers = a_number(), keyed()
    house.providers["route"].answers = [Answer("failed", "provider")]
    first = await house.verify(number, headers=headers)
    again = await house.verify(number, headers=headers)

    assert first.status_code == again.status_code == 502
    assert again.headers["Content-Type"] == "application/problem+json"
    assert again.content == first.content
    assert len(house.facts(Attempt)) == 1


class NotingStore(MemoryStore):
    """Notes what is written together."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[set[type[AnyFact]]] = []

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        self.written.append({type(fact) for fact in facts})
        return await super().write(facts)


@pytest.mark.parametrize("path", ["/v1/verifications", "/v1/messages"])
async def test_an_answer_is_kept_in_the_transaction_of_its_outcome(tmp_path: Path, path: str):
    body = {"purpose": "login"} if "verifications" in path else {"category": "code", "text": "hello"}
    async with open_house(tmp_path, store=NotingStore()) as house:
        assert isinstance(house.store, NotingStore)
        answer = await house.call("POST", path, {"to": a_number(), **body}, headers=keyed())
        written = [kinds for kinds in house.store.written if IdempotencyAnswer in kinds]

        assert answer.status_code == 201
        assert written == [{AttemptOutcome, IdempotencyAnswer}]


async def test_the_answer_after_a_failover_is_kept_once_and_comes_again(tmp_path: Path):
    async with open_house(tmp_path, providers={"one": {}, "two": {}}, store=NotingStore()) as house:
        assert isinstance(house.store, NotingStore)
        house.providers["one"].answers = house.providers["two"].answers = [Answer("failed", "provider"), ACCEPTED]
        number, headers = a_number(), keyed()
        first = await house.verify(number, headers=headers)
        again = await house.verify(number, headers=headers)

        assert (first.status_code, first.json()["attempt"]) == (201, 2)
        assert again.content == first.content
        assert sum(IdempotencyAnswer in kinds for kinds in house.store.written) == 1


async def test_when_its_time_is_over_a_key_counts_anew(house: House):
    number, headers = a_number(), keyed()
    sent = []
    for _ in range(3):
        sent.append((await house.verify(number, headers=headers)).json()["id"])
        house.clock.advance(seconds=house.settings.api.idempotency_hours * 3600)

    assert len(set(sent)) == 3


async def test_the_store_keeps_neither_key_nor_number(house: House):
    number = a_number()
    await house.verify(number, headers=keyed(number))
    kept = repr(house.facts(IdempotencyClaim) + house.facts(IdempotencyAnswer))

    assert number.lstrip("+") not in kept


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "not yet sent"])
async def test_a_call_whose_process_died_is_answered_from_facts_or_done_once(house: House, sent: bool):
    """A dead process leaves a claim without an answer, with or without the facts of a send."""
    number, headers = a_number(), keyed()
    if sent:
        lost = (await house.verify(number, headers=headers)).json()["id"]
        answers = house.store._facts[IdempotencyAnswer]  # what its process did not come to write
        answers.clear()
    else:
        house.store.available = False
        await house.verify(number, headers=headers)
        house.store.available = True
        lost = None
    house.clock.advance(seconds=60)
    again = await house.verify(number, headers=headers)

    assert again.status_code == 201
    assert lost in (None, again.json()["id"])
    assert len(house.facts(Request)) == len(house.sent) == 1


class Forgetful(MemoryStore):
    """Loses what became of attempts, and answers with them, while it is told to."""

    loses = False

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        if self.loses and any(isinstance(fact, AttemptOutcome) for fact in facts):
            raise StoreFault("down", fault=FaultClass.FATAL)
        return (
            []
            if self.loses and any(isinstance(fact, IdempotencyAnswer) for fact in facts)
            else await super().write(facts)
        )


async def test_a_call_that_sent_again_and_whose_answer_was_lost_does_not_send_once_more(tmp_path: Path):
    number, headers = a_number(), keyed()
    async with open_house(tmp_path, store=(store := Forgetful())) as house:
        begun = await house.verify(number)
        house.clock.advance(seconds=30)
        store.loses = True
        first = await house.verify(number, headers=headers)
        store.loses = False
        house.clock.advance(seconds=60)
        again = await house.verify(number, headers=headers)

        assert (first.status_code, first.json()["attempt"]) == (again.status_code, again.json()["attempt"]) == (200, 2)
        assert again.json()["id"] == begun.json()["id"]
        assert again.json()["sent"] == "unknown"
        assert len(house.sent) == 2


async def test_a_call_that_died_before_it_sent_again_is_not_answered_by_what_another_sent_later(house: House):
    number, headers = a_number(), keyed()
    await house.verify(number)
    await house.verify(number, headers=headers)  # too early: a claim, and nothing done
    house.clock.advance(seconds=60)
    await house.verify(number)
    house.clock.advance(seconds=60)
    again = await house.verify(number, headers=headers)

    assert (again.status_code, again.json()["attempt"]) == (200, 3)


@pytest.mark.parametrize("path", ["/v1/verifications", "/v1/messages"])
async def test_a_lost_answer_of_a_message_that_may_arrive_is_given_as_it_was(tmp_path: Path, path: str):
    body = {"purpose": "login"} if "verifications" in path else {"category": "code", "text": "hello"}
    call = {"to": a_number(), **body}
    headers = keyed()
    async with open_house(tmp_path, providers={"one": {}, "two": {}}, store=(store := NotingStore())) as house:
        order = iter([Answer("unknown", "timeout"), Answer("rejected", "route")])

        async def following() -> Answer:
            return next(order)

        for provider in house.providers.values():
            provider.answers = [following]
        first = await house.call("POST", path, call, headers=headers)
        store._facts[IdempotencyAnswer].clear()
        house.clock.advance(seconds=20)
        again = await house.call("POST", path, call, headers=headers)

        assert again.status_code == first.status_code == 201
        assert again.json()["attempt"] == first.json()["attempt"] == 1
        assert len(house.sent) == 2


async def test_a_lost_answer_is_not_that_of_a_later_call(house: House):
    number, headers = a_number(), keyed()
    first = await house.verify(number, headers=headers)
    house.store._facts[IdempotencyAnswer].clear()
    house.clock.advance(seconds=30)
    house.providers["route"].answers = [Answer("failed", "provider")]
    later = await house.verify(number)
    again = await house.verify(number, headers=headers)

    assert later.status_code == 502
    assert (again.status_code, again.json()["attempt"]) == (first.status_code, first.json()["attempt"]) == (201, 1)


async def test_a_key_that_counts_anew_counts_on_when_its_old_claim_may_go(house: House):
    body, headers = {"to": a_number(), "category": "notification", "text": "your parcel"}, keyed("daily")
    kept = timedelta(hours=house.settings.api.idempotency_hours)

    async def send() -> str:
        return (await house.call("POST", "/v1/messages", body, headers=headers)).json()["id"]

    first = await send()
    house.clock.advance(seconds=kept.total_seconds() + 1)
    anew = await send()
    house.clock.advance(seconds=1)
    now = house.clock()
    await house.store.purge(Cutoffs(now=now, claims=now - kept, facts=now - timedelta(days=400)), batch_max=500)

    assert first != anew
    assert await send() == anew
    assert len(house.sent) == 2


async def test_what_is_made_again_hours_after_a_refusal_has_an_id_of_its_own_time_and_comes_again(house: House):
    number, headers = a_number(), keyed()
    await house.verify(number)
    refused = await house.verify(number, headers=headers)
    house.clock.advance(seconds=3 * 3600)
    done = await house.verify(number, headers=headers)
    again = await house.verify(number, headers=headers)

    assert (refused.status_code, done.status_code) == (429, 201)
    assert abs(house.clock() - time_of(UUID(done.json()["id"]))) < timedelta(minutes=1)
    assert again.content == done.content
    assert len(house.sent) == 2
