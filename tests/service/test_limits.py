"""What has to be waited for, when clocks step back between two messages."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.settings import Code
from service.errors import TooManySends
from service.facts import RequestState
from service.limits import Limits
from tests.service.stores import facts
from tests.service.stores.facts import NOW

LIMITS = Limits(Code(cooldown_seconds=[30], sends_per_ten_minutes=1))
SENT_AGO_SECONDS = {20: 10, 30: 0, -10: 30, -29: 30, -31: 0, -3600: 0}
"""By how long ago the last message was sent: what is waited for. A negative one lies ahead."""


@pytest.mark.parametrize(("ago_seconds", "wait_seconds"), SENT_AGO_SECONDS.items())
def test_a_cool_down_is_never_longer_than_it_is(ago_seconds: int, wait_seconds: float):
    request = facts.request()
    attempt = facts.attempt(request, at=NOW - timedelta(seconds=ago_seconds))
    state = RequestState(request=request, attempts=(attempt,))

    assert LIMITS.resend_after_seconds(state, NOW) == wait_seconds


def test_a_message_that_lies_a_little_ahead_counts_and_is_waited_for_no_longer_than_the_window():
    with pytest.raises(TooManySends) as refused:
        LIMITS.require_room([NOW + timedelta(minutes=5)], NOW)

    assert refused.value.retry_after_seconds == 600


def test_a_message_that_lies_an_hour_ahead_keeps_nobody_waiting_for_ten_minutes_that_are_over():
    LIMITS.require_room([NOW + timedelta(hours=1)], NOW)
