"""Instances hear of each other's counts through a real server, and go on alone without one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from core.clock import Clock, ManualClock, utc_now
from core.errors import MirrorUnavailable
from core.settings.servers import Mirror
from sandbox.ports import free_ports
from service.guards.exchange import Left, RedisExchange, Sharing
from tests.support.until import until


class Counter:
    """Something with counts to share."""

    def __init__(self, told: Mapping[str, str]) -> None:
        self.told = told
        self.heard: Mapping[str, list[Left]] = {}

    def to_tell(self) -> Mapping[str, str]:
        return self.told

    def hear(self, elsewhere: Mapping[str, list[Left]]) -> None:
        self.heard = elsewhere


def exchange(url: str, instance: str, namespace: str, clock: Clock = utc_now) -> RedisExchange:
    return RedisExchange(Mirror(url=SecretStr(url)), instance=instance, clock=clock, namespace=namespace)


class Failing:
    """An exchange that fails as nobody expected, and then works."""

    def __init__(self) -> None:
        self.swaps = 0

    async def swap(self, mine: Mapping[str, str]) -> dict[str, list[Left]]:
        self.swaps += 1
        if self.swaps == 1:
            raise KeyError("nobody expected this")
        return {key: [Left("7", 0)] for key in mine}

    async def close(self) -> None:
        return


async def test_instances_hear_of_the_others_and_not_of_themselves(mirror_url: str):
    namespace = uuid4().hex
    counters = [Counter({"quota:app:shop": str(count)}) for count in (3, 4, 5)]
    sharings = [
        Sharing(exchange(mirror_url, f"instance-{index}", namespace), counter) for index, counter in enumerate(counters)
    ]
    for _ in range(2):
        for sharing in sharings:
            await sharing.swap_once()

    heard = [sorted(left.text for left in counter.heard["quota:app:shop"]) for counter in counters]

    assert heard == [["4", "5"], ["3", "5"], ["3", "4"]]
    for sharing in sharings:
        await sharing.stop()


async def test_what_an_instance_left_is_heard_with_its_age_and_goes_after_an_hour(mirror_url: str):
    clock, namespace = ManualClock(datetime(2026, 3, 1, 12, tzinfo=UTC)), uuid4().hex
    ended, lives = (exchange(mirror_url, name, namespace, clock) for name in ("ended", "lives"))
    await ended.swap({"quota:app:shop": "100"})
    heard = []
    for _ in range(3):
        clock.advance(seconds=1799)
        heard.append((await lives.swap({"quota:app:shop": "1"}))["quota:app:shop"])
    after = await ended.swap({"quota:app:shop": "0"})
    for one in (ended, lives):
        await one.close()

    assert heard == [[Left("100", 1799)], [Left("100", 3598)], []]
    assert after["quota:app:shop"] == [Left("1", 0)]


async def test_without_a_server_everybody_counts_for_himself():
    (port,) = free_ports(1)
    lonely = exchange(f"redis://127.0.0.1:{port}/0", "one", "none")
    counter = Counter({"quota:app:shop": "3"})
    counter.heard = {"quota:app:shop": [Left("9", 0)]}
    sharing = Sharing(lonely, counter)
    await sharing.swap_once()

    assert counter.heard == {}
    with pytest.raises(MirrorUnavailable):
        await lonely.swap({"a": "1"})
    await sharing.stop()


async def test_it_goes_on_whatever_an_exchange_comes_to():
    counter = Counter({"quota:app:shop": "3"})
    sharing = Sharing(Failing(), counter, period_seconds=0)
    sharing.start()
    await until(lambda: bool(counter.heard))
    await sharing.stop()

    assert counter.heard == {"quota:app:shop": [Left("7", 0)]}


async def test_what_another_program_left_there_counts_nothing(mirror_url: str):
    namespace = uuid4().hex
    client = Redis.from_url(mirror_url)
    await client.hset(f"{namespace}:guard:a", mapping={"latin": b"12 \xe9", "superscript": "\u00b2 4"})
    mine = exchange(mirror_url, "mine", namespace)
    heard = await mine.swap({"a": "1"})
    await mine.close()
    await client.aclose()

    assert heard == {"a": []}


async def test_a_server_is_not_called_silent_while_nobody_listened(mirror_url: str):
    settings = Mirror(url=SecretStr(mirror_url), timeout_seconds=1.0)
    held_up = RedisExchange(settings, instance="one", listened=lambda: 0.0, namespace=uuid4().hex)
    client = Redis.from_url(mirror_url)
    await client.execute_command("CLIENT", "PAUSE", "1300")
    heard = await held_up.swap({"a": "1"})
    await held_up.close()
    await client.aclose()

    assert heard == {"a": []}
