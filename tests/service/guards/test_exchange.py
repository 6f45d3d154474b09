"""Instances hear of each other's counts through a real server, and go on alone without one."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

import pytest
from pydantic import SecretStr

from core.errors import MirrorUnavailable
from core.settings.servers import Mirror
from sandbox.ports import free_ports
from service.guards.exchange import RedisExchange, Sharing


class Counter:
    """Something with counts to share."""

    def __init__(self, told: Mapping[str, str]) -> None:
        self.told = told
        self.heard: Mapping[str, list[str]] = {}

    def to_tell(self) -> Mapping[str, str]:
        return self.told

    def hear(self, elsewhere: Mapping[str, list[str]]) -> None:
        self.heard = elsewhere


def exchange(url: str, instance: str, namespace: str) -> RedisExchange:
    return RedisExchange(Mirror(url=SecretStr(url)), instance=instance, namespace=namespace)


async def test_instances_hear_of_the_others_and_not_of_themselves(mirror_url: str):
    namespace = uuid4().hex
    counters = [Counter({"quota:app:shop": str(count)}) for count in (3, 4, 5)]
    sharings = [
        Sharing(exchange(mirror_url, f"instance-{index}", namespace), counter) for index, counter in enumerate(counters)
    ]
    for _ in range(2):
        for sharing in sharings:
            await sharing.swap_once()

    assert [sorted(counter.heard["quota:app:shop"]) for counter in counters] == [["4", "5"], ["3", "5"], ["3", "4"]]
    for sharing in sharings:
        await sharing.stop()


async def test_without_a_server_everybody_counts_for_himself():
    (port,) = free_ports(1)
    lonely = exchange(f"redis://127.0.0.1:{port}/0", "one", "none")
    counter = Counter({"quota:app:shop": "3"})
    counter.heard = {"quota:app:shop": ["9"]}
    sharing = Sharing(lonely, counter)
    await sharing.swap_once()

    assert counter.heard == {}
    with pytest.raises(MirrorUnavailable):
        await lonely.swap({"a": "1"})
    await sharing.stop()
