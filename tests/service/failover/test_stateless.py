"""Both stores down: codes are sent and checked on any instance, and afterwards everything is where it belongs, once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from core.events import Verify
from core.ids import uuid7_from
from service.facts import OWN_APP, Approval, Attempt, Check, IdempotencyClaim, Request
from service.failover import Status
from service.keys import new_key
from service.providers.base.submission import Answer
from service.stores.memory import MemoryStore
from tests.support.house import CODE, NOW, House, open_house
from tests.support.providers import a_number
from tests.support.until import until

EXPIRED = {"status": "expired", "checks_left": 0}


class Fleet:
    """Two instances with the same stores and a journal each."""

    def __init__(self, one: House, other: House, primary: MemoryStore, backup: MemoryStore) -> None:
        self.one, self.other = one, other
        self.primary, self.backup = primary, backup
        other.keys.update(one.keys)

    def status(self, house: House) -> Status:
        return house.service.store.status

    async def warm(self) -> None:
        """Both instances have let the keys in before."""
        for house in (self.one, self.other):
            for key in ("shop", "bank"):
                await house.call("GET", f"/v1/verifications/{uuid7_from(NOW, key)}", key=key)

    async def lose_both(self) -> None:
        self.primary.available = self.backup.available = False
        for house in (self.one, self.other):
            await house.service.store.set_mysql_fatal("a test said so")
            await until(lambda house=house: self.status(house) is Status.BOTH_FATAL)

    async def recover(self) -> None:
        self.primary.available = self.backup.available = True
        for house in (self.one, self.other):
            house.clock.advance(seconds=60)
            await self.passes(lambda house=house: self.status(house) is not Status.BOTH_FATAL)
            await house.service.store.recover()
        for house in (self.one, self.other):
            await self.passes(lambda house=house: house.service.store.view().backlog_bytes == 0)

    async def passes(self, holds: Callable[[], bool]) -> None:
        """Time goes on until it holds."""

        def holds_later() -> bool:
            for house in (self.one, self.other):
                house.clock.advance(seconds=0.01)
            return holds()

        await until(holds_later)

    def facts(self, kind) -> list:
        """Of the primary store, but for what instances claim for each other."""
        facts = (fact for fact in self.primary.facts() if isinstance(fact, kind))
        return [fact for fact in facts if getattr(fact, "app", "") != OWN_APP]


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    primary, backup = MemoryStore(), MemoryStore(as_mirror=True)
    async with AsyncExitStack() as stack:
        houses = [
            await stack.enter_async_context(open_house(tmp_path / name, store=primary, backup=backup))
            for name in ("one", "other")
        ]
        made = Fleet(*houses, primary, backup)
        await made.warm()
        yield made


async def test_a_code_is_sent_and_checked_without_any_store_and_is_in_mysql_afterwards_once(fleet: Fleet):
    await fleet.lose_both()
    sent = await fleet.one.verify(a_number())
    checked = await fleet.one.check(sent.json()["id"], fleet.one.code())
    again = await fleet.one.check(sent.json()["id"], fleet.one.code())
    await fleet.recover()

    assert (sent.status_code, checked.json()["status"]) == (201, "approved")
    assert again.json()["status"] == "already_approved"
    assert [str(row.id) for row in fleet.facts(Request)] == [sent.json()["id"]]
    assert [row.attempt for row in fleet.facts(Attempt)] == [1]
    assert len(fleet.facts(Check)) == len(fleet.facts(Approval)) == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_code_is_checked_by_id_on_an_instance_that_did_not_send_it(fleet: Fleet, when: str):
    if when == "after":
        await fleet.lose_both()
    sent = await fleet.one.verify(a_number())
    if when == "before":
        await fleet.lose_both()
    wrong = await fleet.other.check(sent.json()["id"], "nonsense")
    checked = await fleet.other.check(sent.json()["id"], fleet.one.code())
    await fleet.recover()

    assert wrong.json() == {"status": "wrong", "checks_left": 4}
    assert checked.json()["status"] == "approved"
    assert [row.result for row in fleet.facts(Check)] == ["wrong", "approved"]
    told = [event for event in await fleet.other.events() if isinstance(event, Verify)]
    assert sorted(row.check for row in fleet.facts(Check)) == sorted(event.check for event in told)


async def test_a_code_that_was_sent_without_a_store_is_checked_with_one_even_before_the_journal_is_replayed(
    fleet: Fleet,
):
    await fleet.lose_both()
    sent = await fleet.one.verify(a_number())
    fleet.backup.available = True
    await fleet.passes(lambda: fleet.status(fleet.other) is Status.MYSQL_FATAL)
    checked = await fleet.other.check(sent.json()["id"], fleet.one.code())

    assert checked.json()["status"] == "approved"


async def test_guesses_are_counted_on_each_instance_before_anything_is_said(fleet: Fleet):
    await fleet.lose_both()
    sent = await fleet.one.verify(a_number())
    told = [(await fleet.one.check(sent.json()["id"], "nonsense")).json()["status"] for _ in range(6)]
    right = await fleet.one.check(sent.json()["id"], fleet.one.code())

    assert told == ["wrong"] * 5 + ["too_many"]
    assert right.json()["status"] == "too_many"


async def test_guesses_made_before_the_stores_were_lost_count_on_the_instance_that_saw_them(fleet: Fleet):
    sent = await fleet.one.verify(a_number())
    for _ in range(3):
        await fleet.one.check(sent.json()["id"], "nonsense")
    await fleet.lose_both()
    told = [(await fleet.one.check(sent.json()["id"], "nonsense")).json()["checks_left"] for _ in range(3)]

    assert told == [1, 0, 0]


async def test_what_was_never_sent_is_answered_like_what_has_expired(fleet: Fleet):
    await fleet.lose_both()
    sent = await fleet.one.verify(a_number())
    foreign = await fleet.one.check(sent.json()["id"], fleet.one.code(), key="bank")
    made_up = await fleet.one.check(str(uuid7_from(NOW, "made up")), "123456")
    fleet.other.clock.advance(seconds=601)
    late = await fleet.other.check(sent.json()["id"], fleet.one.code())

    assert foreign.json() == made_up.json() == late.json() == EXPIRED


async def test_a_resend_waits_for_the_cool_down_and_is_a_new_attempt(fleet: Fleet):
    number = a_number()
    await fleet.lose_both()
    first = await fleet.one.verify(number)
    soon = await fleet.one.verify(number)
    fleet.one.clock.advance(seconds=30)
    again = await fleet.one.verify(number)

    assert soon.status_code == 429
    assert (again.json()["id"], again.json()["attempt"]) == (first.json()["id"], 2)


async def test_a_verification_that_another_instance_may_add_to_gets_no_attempt_twice(fleet: Fleet):
    number = a_number()
    first = await fleet.one.verify(number)
    fleet.one.clock.advance(seconds=30)
    fleet.other.clock.advance(seconds=30)
    await fleet.other.verify(number)
    await fleet.lose_both()
    for house in (fleet.one, fleet.other):
        house.clock.advance(seconds=120)
    sent = [await house.verify(number) for house in (fleet.one, fleet.other)]
    references = [row.reference for house in (fleet.one, fleet.other) for row in house.sent]

    assert [row.status_code for row in sent] == [201, 201]
    assert first.json()["id"] not in {row.json()["id"] for row in sent}
    assert len(set(references)) == len(references) == 4


async def test_marketing_is_refused_when_nobody_can_say_whether_it_is_welcome(fleet: Fleet):
    await fleet.lose_both()
    message = {"to": a_number(), "category": "marketing", "text": "Buy!"}
    told = await fleet.one.call("POST", "/v1/messages", message)
    code = await fleet.one.call("POST", "/v1/messages", message | {"category": "code", "text": "Your word: kiwi"})

    assert (told.status_code, code.status_code) == (503, 201)
    assert "Retry-After" in told.headers


async def test_a_key_goes_on_working_after_a_restart_and_an_unknown_one_is_not_called_wrong(
    fleet: Fleet, tmp_path: Path
):
    await fleet.lose_both()
    await fleet.one.service.stop()
    async with open_house(tmp_path / "one", store=fleet.primary, backup=fleet.backup, keys=fleet.one.keys) as again:
        sent = await again.verify(a_number())
        secret = again.settings.api.key_secret.get_secret_value()
        again.keys["stranger"], _ = new_key(
            app="shop", scopes=frozenset({"send"}), label="", secret=secret, now=again.clock()
        )
        unknown = await again.verify(a_number(), key="stranger")

        assert (sent.status_code, unknown.status_code) == (201, 503)


async def test_a_call_with_an_idempotency_key_is_done_once(fleet: Fleet):
    await fleet.lose_both()
    number, headers = a_number(), {"Idempotency-Key": "one order"}
    first = await fleet.one.verify(number, headers=headers)
    again = await fleet.one.verify(number, headers=headers)
    await fleet.recover()

    assert first.content == again.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(fleet.one.sent) == len(fleet.facts(IdempotencyClaim)) == 1


async def test_nothing_is_answered_well_that_the_disk_did_not_take(fleet: Fleet, tmp_path: Path):
    sent = await fleet.one.verify(a_number())
    await fleet.lose_both()
    folder = tmp_path / "one" / "journal" / "store"
    for path in folder.glob("*"):
        path.unlink()
    folder.rmdir()
    folder.write_bytes(b"")  # no journal can be begun here
    checked = await fleet.one.check(sent.json()["id"], fleet.one.code())
    told = await fleet.one.verify(a_number())
    ready = await fleet.one.call("GET", "/readyz", key="")

    assert (checked.status_code, told.status_code, ready.status_code) == (503, 503, 503)
    assert len(fleet.one.sent) == 1

    folder.unlink()
    retried = await fleet.one.check(sent.json()["id"], fleet.one.code())

    assert retried.json()["status"] == "approved"


async def enter_the_next_window(fleet: Fleet) -> None:
    """The window in which an instance started is left out: the process before it may have given ids in it."""
    for house in (fleet.one, fleet.other):
        house.clock.advance(seconds=301)


async def test_a_code_is_checked_by_number_on_an_instance_that_did_not_send_it(fleet: Fleet):
    number = a_number()
    for house in (fleet.one, fleet.other):
        await until(lambda house=house: house.service.store._maker.number(house.clock()) is not None)
    await fleet.lose_both()
    await enter_the_next_window(fleet)
    sent = [await house.verify(number) for house in (fleet.one, fleet.other)]
    body = {"to": number, "purpose": "login", "code": fleet.one.code()}
    wrong = await fleet.other.call("POST", "/v1/verifications/check", body | {"code": "nonsense"})
    checked = await fleet.other.call("POST", "/v1/verifications/check", body)
    foreign = await fleet.other.call("POST", "/v1/verifications/check", body, key="bank")
    await fleet.recover()
    [approval] = fleet.facts(Approval)

    assert [row.status_code for row in sent] == [201, 201]
    assert sent[0].json()["id"] != sent[1].json()["id"]
    assert (wrong.json()["status"], checked.json()["status"]) == ("wrong", "approved")
    assert foreign.json()["status"] == "wrong"
    assert (str(approval.request_id), approval.attempt) == (sent[0].json()["id"], 1)


async def test_guesses_by_number_count_against_every_verification_they_were_compared_with(fleet: Fleet):
    number = a_number()
    for house in (fleet.one, fleet.other):
        await until(lambda house=house: house.service.store._maker.number(house.clock()) is not None)
    await fleet.lose_both()
    await enter_the_next_window(fleet)
    sent = await fleet.one.verify(number)
    body = {"to": number, "purpose": "login", "code": "nonsense"}
    told = [await fleet.other.call("POST", "/v1/verifications/check", body) for _ in range(5)]
    by_id = await fleet.other.check(sent.json()["id"], fleet.one.code())
    fleet.other.clock.advance(seconds=250)
    later = await fleet.other.call("POST", "/v1/verifications/check", body | {"code": fleet.one.code()})

    assert [row.json()["checks_left"] for row in told] == [4, 3, 2, 1, 0]
    assert by_id.json()["status"] == later.json()["status"] == "too_many"


async def test_without_a_store_the_last_code_after_many_failovers_is_known_to_another_instance(tmp_path: Path):
    primary, backup = MemoryStore(), MemoryStore(as_mirror=True)
    names: dict[str, dict[str, Any]] = {"a": {}, "b": {}, "c": {}}
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(
                open_house(
                    tmp_path / name, store=primary, backup=backup, providers=names, code={"cooldown_seconds": [1]}
                )
            )
            for name in ("one", "other")
        ]
        fleet = Fleet(one, other, primary, backup)
        for provider in one.providers.values():
            provider.answers = [Answer("unknown", "timeout")] * 5
        number = a_number()
        for _ in range(5):
            sent = await one.verify(number)
            for house in (one, other):
                house.clock.advance(seconds=2)
        await fleet.warm()
        await fleet.lose_both()
        last = max(one.sent, key=lambda row: int(row.reference.rpartition("-")[2]))
        found = CODE.search(last.text)
        assert found is not None
        answer = await other.check(sent.json()["id"], found[0])

        assert last.reference.endswith("-15")
        assert answer.json()["status"] == "approved"
