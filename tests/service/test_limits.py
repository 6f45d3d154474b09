"""What has to be waited for: when clocks step back between two messages, and when others wait already."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from core.settings.sending import Code
from core.settings.sending import Limits as LimitsSettings
from service.errors import TooManySends
from service.facts import RequestState
from service.limits import KeyedLocks, Limits
from tests.service.stores import facts
from tests.service.stores.facts import NOW

LIMITS = Limits(
    Code(cooldown_seconds=[30], sends_per_ten_minutes=1),
    LimitsSettings(notifications_per_number_per_ten_minutes=2, marketing_per_number_per_ten_minutes=0),
)
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
        LIMITS.require_room("code", [NOW + timedelta(minutes=5)], NOW)

    assert refused.value.retry_after_seconds == 600


def test_a_message_that_lies_an_hour_ahead_keeps_nobody_waiting_for_ten_minutes_that_are_over():
    LIMITS.require_room("code", [NOW + timedelta(hours=1)], NOW)


def test_every_category_has_limits_of_its_own():
    sends = [NOW - timedelta(minutes=2), NOW - timedelta(minutes=1)]
    LIMITS.require_room("notification", sends[:1], NOW)
    with pytest.raises(TooManySends, match="of category notification") as refused:
        LIMITS.require_room("notification", sends, NOW)

    assert refused.value.retry_after_seconds == 480


def test_a_limit_of_0_is_none_and_the_other_one_still_holds():
    LIMITS.require_room("marketing", [NOW] * 9, NOW)
    with pytest.raises(TooManySends):
        LIMITS.require_room("marketing", [NOW] * 10, NOW)


async def test_few_calls_wait_for_one_number_and_the_others_are_told_to_come_back():
    locks = KeyedLocks()

    async def wait() -> None:
        async with locks.hold("a"):
            pass

    async with asyncio.timeout(10), AsyncExitStack() as held:
        await held.enter_async_context(locks.hold("a"))
        waiting = [asyncio.create_task(wait()) for _ in range(7)]
        await asyncio.sleep(0)
        with pytest.raises(TooManySends, match="at once") as refused:
            await wait()
        await held.enter_async_context(locks.hold("b"))
    await asyncio.gather(*waiting)
    await wait()

    assert refused.value.retry_after_seconds == 1
