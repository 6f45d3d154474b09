"""The last net: what may be a number or a code is masked, what people need to read is not."""

import random
import re

import pytest

from core.errors import BadInput
from core.log import redact_values
from core.redact import MASK, described, redact


def some_number(spaced: bool) -> str:
    digits = "".join(random.Random(7).choices("123456789", k=9))
    return f"+44 {digits[:3]} {digits[3:6]} {digits[6:]}" if spaced else "+44" + digits


@pytest.mark.parametrize(
    "text", [some_number(True), some_number(False), some_number(False)[1:], f"{random.Random(3).randrange(10**6):06}"]
)
def test_numbers_and_codes_are_masked(text):
    assert redact(f"sent to {text}.") == f"sent to {MASK}."


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T03:13:33.222000Z",
        "01a20b8b-6026-7000-910a-c402c33838ce",
        "3448133146bc6806d2f1a0c4e5b6a798",
        "port 54321",
        "MK:0004 after 30003",
        "127.0.0.1:8123",
    ],
)
def test_times_ids_and_error_codes_stay(text):
    assert redact(text) == text


def test_what_stands_in_lists_and_tables_of_a_log_event_is_masked_too():
    number = some_number(False)
    event = {"event": "refused", "recipients": [f"{number}@sms.example"], "told": {"to": (number,)}, "attempts": 3}

    masked = {"event": "refused", "recipients": [f"{MASK}@sms.example"], "told": {"to": [MASK]}, "attempts": 3}
    assert redact_values(None, "", event) == masked


def test_an_error_is_told_by_its_kind_and_our_line_and_never_by_its_message():
    with pytest.raises(TypeError) as met:
        redact({"password": "hunter2"})

    assert re.fullmatch(r"TypeError in core/redact.py, line \d+", described(met.value))


def test_of_an_error_of_the_machine_its_reason_is_told():
    assert described(OSError(28, "No space left on device", "/secret/place")) == "OSError (No space left on device)"


def test_our_own_errors_speak_for_themselves():
    assert described(BadInput("a window must begin before it ends")) == "a window must begin before it ends"
