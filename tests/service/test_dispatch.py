"""A message finds a provider: by weight, past those that fail, inside a deadline, with every attempt on record."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from core.events import Send
from service.dispatch import Breaker, Router
from service.facts import Attempt, AttemptOutcome
from service.providers.base.provider import HELD_UP
from service.providers.base.submission import Answer
from tests.support.house import CODE, House, distinct_numbers, open_house
from tests.support.providers import a_number

FAILED = Answer("failed", "provider")
UNKNOWN = Answer("unknown", "timeout")
REJECTED = Answer("rejected", "blocked")
NO_SUCH_NUMBER = Answer("rejected", "number")


async def two_providers(folder, **more):
    return open_house(folder, providers={"one": {}, "two": {}}, **more)


@pytest.mark.parametrize("answer", [FAILED, UNKNOWN, REJECTED], ids=lambda row: row.outcome)
async def test_another_provider_is_tried_with_a_code_of_its_own(tmp_path, answer: Answer):
    async with await two_providers(tmp_path) as house:
        for provider in house.providers.values():
            provider.answers = [answer] if provider.name == "one" else []
        house.providers["two"].settings = house.providers["two"].settings.model_copy(update={"weight": 1e-9})
        sent = await house.verify(a_number())
        codes = {found[0] for row in house.sent if (found := CODE.search(row.text))}

        assert (sent.status_code, sent.json()["attempt"], sent.json()["sent"]) == (201, 2, "accepted")
        assert [row.cause for row in house.facts(Attempt)] == ["first", "failover"]
        assert [row.outcome for row in house.facts(AttemptOutcome)] == [answer.outcome, "accepted"]
        assert len(codes) == 2
        for code in codes:
            assert (await house.check(sent.json()["id"], code)).json()["status"] in ("approved", "already_approved")


async def test_when_all_refuse_the_caller_gets_the_id_under_which_all_facts_are_kept(tmp_path):
    async with await two_providers(tmp_path) as house:
        for provider in house.providers.values():
            provider.answers = [FAILED]
        answer = await house.verify(a_number())
        read = await house.call("GET", f"/v1/verifications/{answer.json()['request_id']}")

        assert answer.status_code == 502
        assert answer.json()["error_class"] == "provider"
        assert read.json()["status"] == "failed"
        assert len(read.json()["attempts"]) == 2
        assert len([event for event in await house.events() if isinstance(event, Send)]) == 2


async def test_a_send_that_all_refused_costs_no_wait(house: House):
    number = a_number()
    house.providers["route"].answers = [FAILED]
    refused = await house.verify(number)
    again = await house.verify(number)

    assert (refused.status_code, again.status_code) == (502, 200)


async def test_what_may_still_arrive_is_no_failure(house: House):
    house.providers["route"].answers = [UNKNOWN]
    sent = await house.verify(a_number())

    assert sent.status_code == 201
    assert sent.json()["sent"] == "unknown"
    assert (await house.check(sent.json()["id"], house.code())).json()["status"] == "approved"


async def test_a_number_that_cannot_receive_is_not_tried_elsewhere(tmp_path):
    async with await two_providers(tmp_path) as house:
        for provider in house.providers.values():
            provider.answers = [NO_SUCH_NUMBER]
        answer = await house.verify(a_number())

        assert answer.status_code == 422
        assert answer.json()["type"] == "/problems/number-refused"
        assert len(house.sent) == 1


async def test_nobody_is_tried_after_the_deadline(tmp_path):
    async with await two_providers(tmp_path, routing={"deadline_seconds": 5.0}) as house:

        async def slowly():
            house.timer[0] += 5.0
            return FAILED

        for provider in house.providers.values():
            provider.answers = [slowly]
        answer = await house.verify(a_number())

        assert answer.status_code == 502
        assert len(house.sent) == 1


async def test_no_more_providers_are_tried_than_allowed(tmp_path):
    names = {name: {} for name in "abcd"}
    async with open_house(tmp_path, providers=names, routing={"attempts_max": 2}) as house:
        for provider in house.providers.values():
            provider.answers = [FAILED]
        await house.verify(a_number())

        assert len(house.sent) == 2


async def test_a_resend_goes_to_another_provider(tmp_path):
    async with await two_providers(tmp_path) as house:
        for number in distinct_numbers(10):
            await house.verify(number)
            house.clock.advance(seconds=30)
            await house.verify(number)
        by_request = Counter((row.request_id, row.provider) for row in house.facts(Attempt))

        assert set(by_request.values()) == {1}


async def test_an_attempt_that_another_instance_made_in_the_same_millisecond_is_not_submitted_again(tmp_path):
    async with await two_providers(tmp_path) as house:

        async def fail_while_another_instance_sends_again() -> Answer:
            (first,) = house.facts(Attempt)
            other = next(name for name in house.providers if name != first.provider)
            at = first.at + timedelta(microseconds=400)
            await house.store.write([replace(first, attempt=2, at=at, provider=other, cause="resend")])
            return FAILED

        for provider in house.providers.values():
            provider.answers = [fail_while_another_instance_sends_again]
        await house.verify(a_number())

        assert [row.attempt for row in house.facts(Attempt)] == [1, 2]
        assert len(house.sent) == 1


async def test_a_provider_of_another_country_or_without_weight_gets_nothing(tmp_path):
    providers = {"here": {"countries": ["US"]}, "there": {"countries": ["DE"]}, "idle": {"weight": 0.0}}
    async with open_house(tmp_path, providers=providers) as house:
        for number in distinct_numbers(20):
            await house.verify(number)

        assert len(house.providers["here"].submissions) == len(house.sent) == 20


async def test_an_outcome_that_cannot_be_kept_does_not_turn_a_message_that_is_out_into_an_error(house: House):
    async def go_down():
        house.store.available = False
        return Answer("accepted")

    house.providers["route"].answers = [go_down]
    sent = await house.verify(a_number())
    house.store.available = True

    assert sent.status_code == 201
    assert len(house.facts(Attempt)) == 1
    assert [event.outcome for event in await house.events() if isinstance(event, Send)] == ["accepted"]


@pytest.mark.parametrize(("code", "rests"), [("no_answer", True), (HELD_UP, False)])
async def test_a_provider_to_whom_nobody_listened_does_not_rest_for_it(house, code: str, rests: bool):
    house.providers["route"].answers = [Answer("unknown", "timeout", code)] * 5
    with capture_logs() as logs:
        for _ in range(5):
            await house.verify(a_number())

    assert ("provider rests" in [row["event"] for row in logs]) is rests


@pytest.mark.parametrize(("answer", "status"), [(UNKNOWN, 201), (FAILED, 503)], ids=["may arrive", "nobody took it"])
async def test_when_no_further_attempt_can_be_kept_it_is_said_whether_a_message_may_arrive(
    tmp_path, answer: Answer, status: int
):
    async with await two_providers(tmp_path) as house:

        async def go_down() -> Answer:
            house.store.available = False
            return answer

        for provider in house.providers.values():
            provider.answers = [go_down]
        sent = await house.verify(a_number())
        house.store.available = True

        assert sent.status_code == status
        assert sent.json().get("sent") == ("unknown" if status == 201 else None)
        assert len(house.sent) == len(house.facts(Attempt)) == 1


async def test_providers_share_messages_by_weight(tmp_path):
    async with open_house(tmp_path, providers={"big": {"weight": 3.0}, "small": {"weight": 1.0}}) as house:
        breaker = Breaker(failures=5, seconds=15, timer=lambda: 0.0)
        router = Router(house.providers, breaker, Random(1))
        chosen = Counter(row.name for _ in range(4_000) if (row := router.choose("US", tried=())))

        # 3,000 expected; 6 standard deviations are 164
        assert abs(chosen["big"] - 3_000) < 164


class TestBreaker:
    def make(self) -> tuple[Breaker, list[float]]:
        now = [0.0]
        return Breaker(failures=3, seconds=15, timer=lambda: now[0]), now

    def test_a_provider_rests_after_failures_in_a_row(self):
        breaker, _ = self.make()
        for well in (False, False, True, False, False):
            breaker.ended("one", well=well)
        assert not breaker.rests("one")
        breaker.ended("one", well=False)

        assert breaker.rests("one")

    def test_after_the_rest_one_message_tries_it(self):
        breaker, now = self.make()
        for _ in range(3):
            breaker.ended("one", well=False)
        now[0] = 15.0
        assert not breaker.rests("one")
        breaker.chosen("one")

        assert breaker.rests("one")

    @pytest.mark.parametrize("well", [True, False])
    def test_the_trial_decides(self, well: bool):
        breaker, now = self.make()
        for _ in range(3):
            breaker.ended("one", well=False)
        now[0] = 15.0
        breaker.chosen("one")
        breaker.ended("one", well=well)

        assert breaker.rests("one") is not well

    def test_a_trial_that_never_ends_does_not_wedge_it(self):
        breaker, now = self.make()
        for _ in range(3):
            breaker.ended("one", well=False)
        now[0] = 15.0
        breaker.chosen("one")
        now[0] = 30.0

        assert not breaker.rests("one")


async def test_a_resting_provider_is_passed_over_and_still_the_last_resort(tmp_path):
    async with await two_providers(tmp_path, routing={"breaker_failures": 2}) as house:
        one, two = house.providers.values()
        one.answers = [FAILED] * 50
        *numbers, last_number = distinct_numbers(31)
        for number in numbers:
            await house.verify(number)
        tried = len(one.submissions)
        two.answers = [FAILED]
        one.answers = []
        last = await house.verify(last_number)

        assert tried == 2
        assert last.status_code == 201
