"""API keys that somebody made up cost the store little, whatever their number, and nobody else his way in."""

from __future__ import annotations

import secrets

import pytest

from core.clock import ManualClock, ManualTimer
from core.errors import Overloaded
from service.errors import KeyRefused
from service.facts import ApiKey
from service.keys import STRANGE_MAX, STRANGE_SECONDS, Keys, hash_key, new_key
from service.stores.memory import MemoryStore
from tests.service.stores.facts import NOW

SECRET = "a secret of the tests, long enough"


class Asked(MemoryStore):
    """Counts how often it is asked for a key."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    async def api_key(self, key_hash: str) -> ApiKey | None:
        self.times += 1
        return await super().api_key(key_hash)


class Door:
    """The keys of one instance, and what is behind them."""

    def __init__(self) -> None:
        self.store, self.clock, self.timer = Asked(), ManualClock(NOW), ManualTimer()
        self.keys = Keys(self.store, secret=SECRET, clock=self.clock, cache_seconds=30.0, timer=self.timer)

    async def made(self) -> str:
        """A key as they are made now."""
        key, fact = new_key(app="shop", scopes=frozenset({"send"}), label="", secret=SECRET, now=NOW)
        await self.store.write([fact])
        return key

    async def made_before(self) -> str:
        """A key as they were made: without a seal."""
        key = unsealed()
        fact = ApiKey(key_hash=hash_key(SECRET.encode(), key), at=NOW, app="old", label="", scopes="send")
        await self.store.write([fact])
        return key

    async def crowd(self, count: int) -> None:
        """Somebody tries keys that he made up, in the form of old ones."""
        for _ in range(count):
            with pytest.raises(KeyRefused):
                await self.keys.caller(unsealed())


def unsealed() -> str:
    return "hgk_" + secrets.token_urlsafe(32)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.parametrize("tail", ["AAAAAAAA", "A", "A" * 500, "\xe9\xff"])
async def test_a_key_with_a_seal_that_is_not_ours_asks_no_store(door: Door, tail: str):
    with pytest.raises(KeyRefused):
        await door.keys.caller(unsealed() + tail)

    assert door.store.times == 0


async def test_a_key_that_is_too_short_asks_no_store(door: Door):
    with pytest.raises(KeyRefused):
        await door.keys.caller("hgk_short")

    assert door.store.times == 0


async def test_keys_as_they_are_made_now_and_as_they_were_made_are_let_in(door: Door):
    now, before = await door.made(), await door.made_before()

    assert [(await door.keys.caller(key)).app for key in (now, before)] == ["shop", "old"]


async def test_of_unknown_keys_without_a_seal_only_so_many_are_asked_for(door: Door):
    await door.crowd(STRANGE_MAX)
    with pytest.raises(Overloaded) as refused:
        await door.keys.caller(unsealed())

    assert door.store.times == STRANGE_MAX
    assert 1 <= refused.value.retry_after_seconds <= STRANGE_SECONDS


async def test_meanwhile_keys_with_a_seal_and_keys_that_were_let_in_before_are_asked_for(door: Door):
    known = await door.made_before()
    await door.keys.caller(known)
    await door.crowd(STRANGE_MAX - 1)
    door.clock.advance(seconds=60)  # what was believed is to be asked for again

    assert (await door.keys.caller(known)).app == "old"
    assert (await door.keys.caller(await door.made())).app == "shop"


async def test_afterwards_old_keys_are_asked_for_again(door: Door):
    await door.crowd(STRANGE_MAX)
    door.timer.advance(seconds=2 * STRANGE_SECONDS)

    assert (await door.keys.caller(await door.made_before())).app == "old"
