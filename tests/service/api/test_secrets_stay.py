"""No number and no code is in anything the service leaves behind, whatever happens to it."""

from __future__ import annotations

import io
import re

import pytest
import structlog

from core.queue import EVENTS
from service.facts import AttemptOutcome
from service.providers.base.submission import Answer
from tests.support.house import CODE, House, open_house
from tests.support.providers import a_number


@pytest.fixture
def logged():
    """Everything that is logged meanwhile, before any redaction could save it."""
    lines = io.StringIO()
    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(lines),
        cache_logger_on_first_use=False,
    )
    yield lines
    structlog.configure(**before)


async def live_through_everything(house: House, number: str) -> list[str]:
    """Send, fail, time out, break, check rightly and wrongly, push, be down; returns all answers."""

    async def break_down():
        raise RuntimeError("the provider's adapter broke")

    answers = []
    house.providers["route"].answers = [
        Answer("unknown", "timeout"),
        Answer("rejected", "blocked", "spam"),
        break_down,
        Answer("accepted", provider_reference=number.lstrip("+")),
    ]
    for purpose in ("a", "b", "c", "d"):
        answers.append(await house.verify(number, purpose, headers={"Idempotency-Key": number + purpose}))
    answers.append(await house.verify(number, number))
    answers.append(await house.verify(number, "login", template=number))
    answers.append(await house.verify(number, "login", **{number: number}))
    answers.append(await house.call("POST", "/v1/messages", {"to": number, "category": number}))
    answers.append(await house.call("GET", f"/v1/verifications/{number}"))
    code = house.code()
    for entered in (code, number, code):
        body = {"to": number, "purpose": "d", "code": entered}
        answers.append(await house.call("POST", "/v1/verifications/check", body))
    house.store.available = False
    answers.append(await house.verify(number, "e"))
    house.store.available = True
    answers.append(await house.verify(number, "f"))
    answers.append(await house.call("GET", "/metrics", key=""))
    return [answer.text + repr(answer.headers) for answer in answers]


async def test_no_number_and_no_code_is_left_anywhere(tmp_path, logged):
    async with open_house(tmp_path) as house:
        number = a_number()
        answers = await live_through_everything(house, number)
        journal = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()).decode()
        await house.service.publisher.publish_waiting()
        queue = b"".join(await house.bodies(EVENTS) + await house.bodies()).decode()
        facts = repr(house.store.facts())
        left = {
            "answers": "".join(answers),
            "journal": journal,
            "queue": queue,
            "facts": facts,
            "log": logged.getvalue(),
        }
        codes = {found[0] for row in house.sent if (found := CODE.search(row.text))}

        assert codes
        assert all(left.values())
        for place, text in left.items():
            assert number.lstrip("+") not in text, place
            # hex digests and ids may hold six digits of a code by chance: a code stands by itself
            assert not [code for code in codes if re.search(rf"(?<![0-9a-f.\-]){code}(?![0-9a-f\-Z])", text)], place


REFERENCES = {
    "SM{}": "",
    "0{}-1": "",
    "{0[0]}{0[1]}{0[2]}-{0[3]}{0[4]}{0[5]}-{0[6]}{0[7]}{0[8]}": "",
    "0b1c7d7e-4a55-4f0e-9a1d-2f6d4b0a77aa": "0b1c7d7e-4a55-4f0e-9a1d-2f6d4b0a77aa",
}
"""By what a provider calls a message to a number that ends in nine digits: what is kept of that."""


@pytest.mark.parametrize(("told", "kept"), REFERENCES.items())
async def test_no_name_of_a_message_that_holds_the_number_is_kept(house: House, told: str, kept: str):
    number = a_number()
    house.providers["route"].answers = [Answer("accepted", provider_reference=told.format(number[-9:]))]
    await house.verify(number)
    [outcome] = house.facts(AttemptOutcome)

    assert outcome.provider_reference == kept
