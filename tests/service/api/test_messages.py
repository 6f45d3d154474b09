"""Messages that are not verifications, and what senders tell about codes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from core.events import Send, Verify
from core.settings.sending import Template
from service.facts import AnyFact, Approval, RequestState
from service.providers.base.submission import Answer
from service.stores.faults import FaultClass, StoreFault
from service.stores.memory import MemoryStore
from tests.support.house import House, open_house
from tests.support.providers import a_number


class Crowded(MemoryStore):
    """The next so many `readers` of a request have all read it before any of them goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.readers = 0
        self._all = asyncio.Event()

    async def request(self, request_id: UUID) -> RequestState | None:
        state = await super().request(request_id)
        if self.readers:
            self.readers -= 1
            if not self.readers:
                self._all.set()
            await self._all.wait()
        return state


class Forgetful(MemoryStore):
    """Reads, and writes all but approvals."""

    takes_approvals = True

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        if not self.takes_approvals and any(isinstance(fact, Approval) for fact in facts):
            raise StoreFault("a test said so", fault=FaultClass.FATAL)
        return await super().write(facts)


async def send(house: House, **fields: Any):
    return await house.call(
        "POST", "/v1/messages", {"to": a_number(), "category": "notification", "text": "Your parcel is here"} | fields
    )


async def test_a_message_is_sent_and_can_be_read_without_its_text(house: House):
    sent = await send(house)
    read = await house.call("GET", f"/v1/messages/{sent.json()['id']}")

    assert sent.status_code == 201
    assert house.sent[0].text == "Your parcel is here"
    assert read.json()["status"] == "accepted"
    assert "parcel" not in read.text


async def test_a_template_is_filled_in_and_its_name_is_told(tmp_path):
    async with open_house(tmp_path, templates=[Template(name="parcel", text="Parcel {n} is {{here}}")]) as house:
        sent = await send(house, text="", template="parcel", variables={"n": "{code}"})
        told = [event for event in await house.events() if isinstance(event, Send)]

        assert sent.status_code == 201
        assert house.sent[0].text == "Parcel {code} is {here}"
        assert [(event.template, event.category) for event in told] == [("parcel", "notification")]


async def test_a_conversion_counts_once_for_the_last_attempt(house: House):
    house.providers["route"].answers = [Answer("accepted")]
    sent = (await send(house, category="code", text="Use the word apple")).json()
    answers = [await house.call("POST", "/v1/conversions", {"id": sent["id"]}) for _ in range(3)]
    told = {event.event_id: event for event in await house.events() if isinstance(event, Verify)}

    assert [answer.json()["attempt"] for answer in answers] == [1, 1, 1]
    assert [(event.source, event.attempt, event.result) for event in told.values()] == [("conversion", 1, "approved")]
    assert len(house.facts(Approval)) == 1


async def test_conversions_for_different_attempts_at_once_agree_on_what_is_kept(tmp_path):
    store = Crowded()
    async with open_house(tmp_path, store=store, providers={"route": {"weight": 1e9}, "reserve": {}}) as house:
        house.providers["route"].answers = [Answer("failed", "provider")]
        sent = (await send(house, category="code", text="Use the word apple")).json()
        store.readers = 2
        words = [{"id": sent["id"], "attempt": number} for number in (1, 2)]
        answers = await asyncio.gather(*[house.call("POST", "/v1/conversions", word) for word in words])
        [approval] = house.facts(Approval)
        told = {event.attempt for event in await house.events() if isinstance(event, Verify)}

    assert [answer.json()["attempt"] for answer in answers] == [approval.attempt] * 2
    assert told == {approval.attempt}


async def test_a_conversion_that_cannot_be_kept_is_not_told(tmp_path):
    store = Forgetful()
    async with open_house(tmp_path, store=store) as house:
        sent = (await send(house, category="code", text="Use the word apple")).json()
        store.takes_approvals = False
        answer = await house.call("POST", "/v1/conversions", {"id": sent["id"]})
        told = [event for event in await house.events() if isinstance(event, Verify)]

    assert answer.status_code == 503
    assert told == []


async def test_a_conversion_that_was_kept_and_not_told_is_told_when_it_comes_again(house: House):
    sent = (await send(house, category="code", text="Use the word apple")).json()
    kept = Approval(request_id=UUID(sent["id"]), at=house.clock(), check=1, attempt=1)
    await house.store.write([kept])
    house.clock.advance(seconds=60)
    await house.call("POST", "/v1/conversions", {"id": sent["id"]})
    [told] = [event for event in await house.events() if isinstance(event, Verify)]

    assert told.at == kept.at


async def test_only_a_code_of_the_senders_own_converts(house: House):
    notification = (await send(house)).json()
    verification = (await house.verify(a_number())).json()
    code = (await send(house, category="code")).json()
    wanted = [
        ({"id": notification["id"]}, 422),
        ({"id": verification["id"]}, 404),
        ({"id": code["id"], "attempt": 2}, 422),
    ]

    for body, status in wanted:
        assert (await house.call("POST", "/v1/conversions", body)).status_code == status


async def test_another_app_cannot_convert(house: House):
    code = (await send(house, category="code")).json()

    assert (await house.call("POST", "/v1/conversions", {"id": code["id"]}, key="bank")).status_code == 404


async def test_notifications_hold_up_no_code_and_codes_no_notification(tmp_path):
    limits = {"notifications_per_number_per_ten_minutes": 2}
    async with open_house(tmp_path, code={"sends_per_ten_minutes": 1}, limits=limits) as house:
        number = a_number()
        parcels = [await send(house, to=number) for _ in range(3)]
        login = await house.verify(number)
        own = await send(house, to=number, category="code")
        other = await send(house, to=number, category="marketing")

    assert [row.status_code for row in parcels] == [201, 201, 429]
    assert "of category notification" in parcels[2].json()["detail"]
    assert login.status_code == 201
    assert (own.status_code, other.status_code) == (429, 201)
