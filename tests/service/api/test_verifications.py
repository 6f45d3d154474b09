"""Verifications through the API: sent, sent again, checked, read."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from core.events import Send, Verify
from core.settings.sending import Template
from service.facts import Approval, Attempt, AttemptOutcome, Check, Request
from tests.support.house import ACCEPTED, House, open_house
from tests.support.providers import a_number


def wrong(code: str) -> str:
    """Some other code of the same length."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


async def test_a_code_that_is_sent_and_entered_approves_once(house: House):
    sent = await house.verify(a_number())
    checked = await house.check(sent.json()["id"], house.code())
    again = await house.check(sent.json()["id"], house.code())

    assert sent.status_code == 201
    assert sent.json()["sent"] == "accepted"
    assert checked.json() == {"status": "approved", "checks_left": 0}
    assert again.json()["status"] == "already_approved"
    assert len(house.facts(Approval)) == 1


async def test_the_attempt_is_durable_before_the_provider_hears_of_it(house: House):
    seen = []

    async def accept():
        seen.extend(house.facts(Attempt))
        return ACCEPTED

    house.providers["route"].answers = [accept]
    await house.verify(a_number())

    assert [row.attempt for row in seen] == [1]
    assert house.facts(AttemptOutcome)[0].outcome == "accepted"


async def test_the_same_number_and_purpose_again_is_a_resend_with_a_code_of_its_own(house: House):
    number = a_number()
    first = await house.verify(number)
    house.clock.advance(seconds=first.json()["resend_after_seconds"])
    second = await house.verify(number)

    assert second.status_code == 200
    assert second.json()["id"] == first.json()["id"]
    assert second.json()["attempt"] == 2
    assert [row.cause for row in house.facts(Attempt)] == ["first", "resend"]
    assert len(house.facts(Request)) == 1


@pytest.mark.parametrize("attempt", [1, 2])
async def test_every_code_of_a_living_verification_is_good_and_tells_its_attempt(house: House, attempt: int):
    number = a_number()
    first = await house.verify(number)
    house.clock.advance(seconds=30)
    await house.verify(number)
    checked = await house.check(first.json()["id"], house.code(attempt - 1))

    assert checked.json()["status"] == "approved"
    assert house.facts(Approval)[0].attempt == attempt


async def test_a_resend_before_its_time_says_when(house: House):
    number = a_number()
    await house.verify(number)
    house.clock.advance(seconds=10)
    again = await house.verify(number)

    assert again.status_code == 429
    assert again.json()["type"] == "/problems/cooling-down"
    assert again.headers["Retry-After"] == "20"
    assert len(house.sent) == 1


async def test_the_wait_grows_with_every_resend(house: House):
    number, waits = a_number(), []
    for _ in range(4):
        sent = await house.verify(number)
        waits.append(sent.json()["resend_after_seconds"])
        house.clock.advance(seconds=waits[-1])

    assert waits == [30, 60, 120, 120]


async def test_a_number_that_had_its_share_is_refused_until_there_is_room(house: House):
    number = a_number()
    for purpose in ("a", "b", "c", "d", "e"):
        assert (await house.verify(number, purpose)).status_code == 201
        house.clock.advance(seconds=60)
    refused = await house.verify(number, "f")
    house.clock.advance(seconds=int(refused.headers["Retry-After"]))
    later = await house.verify(number, "f")

    assert refused.json()["type"] == "/problems/too-many-sends"
    assert later.status_code == 201


async def test_parallel_calls_for_one_number_send_once(house: House):
    number = a_number()
    answers = await asyncio.gather(*(house.verify(number) for _ in range(20)))

    assert sorted(answer.status_code for answer in answers) == [201] + [429] * 19
    assert len(house.sent) == 1


async def test_wrong_codes_are_counted_until_there_are_too_many(house: House):
    sent = (await house.verify(a_number())).json()
    answers = [(await house.check(sent["id"], wrong(house.code()))).json() for _ in range(6)]
    right = (await house.check(sent["id"], house.code())).json()

    assert [answer["checks_left"] for answer in answers] == [4, 3, 2, 1, 0, 0]
    assert [answer["status"] for answer in answers] == ["wrong"] * 5 + ["too_many"]
    assert right["status"] == "too_many"
    assert not house.facts(Approval)


async def test_a_verification_without_checks_left_is_not_sent_again(house: House):
    number = a_number()
    sent = (await house.verify(number)).json()
    for _ in range(5):
        await house.check(sent["id"], wrong(house.code()))
    house.clock.advance(seconds=60)
    again = await house.verify(number)

    assert again.status_code == 429
    assert again.json()["type"] == "/problems/too-many-checks"


async def test_parallel_checks_of_the_right_code_approve_once(house: House):
    sent = (await house.verify(a_number())).json()
    answers = await asyncio.gather(*(house.check(sent["id"], house.code()) for _ in range(50)))

    assert sum(answer.json()["status"] == "approved" for answer in answers) == 1
    assert len(house.facts(Approval)) == 1


async def test_an_expired_code_is_not_approved_and_the_next_send_is_a_new_verification(house: House):
    number = a_number()
    sent = (await house.verify(number)).json()
    house.clock.advance(seconds=601)
    checked = await house.check(sent["id"], house.code())
    again = await house.verify(number)

    assert checked.json() == {"status": "expired", "checks_left": 0}
    assert again.status_code == 201
    assert again.json()["id"] != sent["id"]


async def test_unknown_foreign_and_expired_look_alike(house: House):
    number = a_number()
    sent = (await house.verify(number)).json()
    unknown = await house.check(str(uuid4()), house.code())
    foreign = await house.check(sent["id"], house.code(), key="bank")
    nobody = await house.call(
        "POST", "/v1/verifications/check", {"to": a_number(), "purpose": "login", "code": house.code()}
    )
    house.clock.advance(seconds=601)
    expired = await house.check(sent["id"], house.code())

    assert unknown.json() == foreign.json() == nobody.json() == expired.json()
    assert {answer.status_code for answer in (unknown, foreign, nobody, expired)} == {200}


async def test_a_code_is_checked_by_number_and_purpose(house: House):
    number = a_number()
    await house.verify(number)
    body = {"to": number, "purpose": "login", "code": f" {house.code()[:3]}-{house.code()[3:]}"}
    other = await house.call("POST", "/v1/verifications/check", body | {"purpose": "pay"})
    checked = await house.call("POST", "/v1/verifications/check", body)

    assert other.json()["status"] == "expired"
    assert checked.json()["status"] == "approved"


async def test_reading_a_verification_tells_its_story_without_number_or_code(house: House):
    number = a_number()
    sent = (await house.verify(number)).json()
    await house.check(sent["id"], house.code())
    read = await house.call("GET", f"/v1/verifications/{sent['id']}")

    assert read.json()["status"] == "approved"
    assert [row["provider"] for row in read.json()["attempts"]] == ["route"]
    assert number.lstrip("+") not in read.text
    assert house.code() not in read.text


async def test_another_app_reads_nothing(house: House):
    sent = (await house.verify(a_number())).json()
    read = await house.call("GET", f"/v1/verifications/{sent['id']}", key="bank")
    unknown = await house.call("GET", f"/v1/verifications/{uuid4()}")

    assert read.status_code == 404
    assert read.json() == unknown.json()


async def test_events_tell_what_the_facts_tell(house: House):
    sent = (await house.verify(a_number())).json()
    await house.check(sent["id"], wrong(house.code()))
    await house.check(sent["id"], house.code())
    events = await house.events()

    sends = [event for event in events if isinstance(event, Send)]
    verifies = [event for event in events if isinstance(event, Verify)]
    assert [(row.country, row.app, row.purpose, row.template, row.provider) for row in sends] == [
        ("US", "shop", "login", "code", "route")
    ]
    assert [(row.check, row.result, row.attempt) for row in verifies] == [(1, "wrong", 0), (2, "approved", 1)]
    assert len(house.facts(Check)) == 2


async def test_the_purposes_own_template_is_used_in_the_callers_language(tmp_path):
    texts = [
        Template(name="pay", locale="en", text="Pay {amount} with {code}"),
        Template(name="pay", locale="de", text="Zahle {amount} mit {code}"),
    ]
    async with open_house(tmp_path, templates=texts) as house:
        await house.verify(a_number(), "pay", locale="de-AT", variables={"amount": "5 EUR"})

        assert house.sent[0].text == f"Zahle 5 EUR mit {house.code()}"


async def test_checking_goes_on_while_the_queue_is_down(house: House):
    sent = (await house.verify(a_number())).json()
    house.queue.available = False

    assert (await house.check(sent["id"], house.code())).json()["status"] == "approved"
