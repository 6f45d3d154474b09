"""The operator of a cluster: reads how the stores stand over the API, gives the word to recover, keeps what was journaled.

Nothing here is known to the service: it is what a person with a key of scope `operate` can do.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from core.journal import SUFFIX, backlog_bytes
from sandbox.chaos.cluster import INSTANCES, Cluster
from sandbox.chaos.ledger import Alone
from service.failover import STORE_FOLDER
from service.publisher import EVENTS_FOLDER

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 0.05
_DOWN = ("mysql_fatal", "both_fatal")
_FOUND_OUT_SECONDS = 4.0
"""Before an instance calls both stores down it has served, without them, the calls by which it found out."""


class Change(msgspec.Struct, frozen=True):
    """One change of status as an instance logged it."""

    instance: str
    at: float
    new: str
    reason: str


class Operator:
    """Somebody with a key of scope `operate`, and a look at the disks."""

    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession) -> None:
        self._cluster = cluster
        self._session = session

    async def status(self, instance: str) -> dict[str, Any] | None:
        """What an instance says; None when it does not answer."""
        return await self._ask(instance, None)

    async def statuses(self) -> dict[str, str]:
        """The word of each instance that runs; empty when it does not answer."""
        live = self._cluster.live
        views = await asyncio.gather(*(self.status(name) for name in live))
        return {name: str(view["status"]) if view else "" for name, view in zip(live, views, strict=True)}

    async def until_all(self, status: str, *, within_seconds: float) -> bool:
        """Wait until every instance that runs says so; False when that takes longer."""
        for _ in range(int(within_seconds / _LOOK_SECONDS)):
            if set((await self.statuses()).values()) == {status}:
                return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def recover(self) -> bool:
        """Give the word to go back, wherever it is still to be given; True when it was taken."""
        statuses = await self.statuses()
        down = [name for name, status in statuses.items() if status in _DOWN]
        told = [await self._ask(name, {"action": "recover"}) for name in down[:1]]
        return bool(told) and told[0] is not None

    async def lead_back(self, *, within_seconds: float) -> bool:
        """Recover until every instance is healthy and every journal is drained; False when that took too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while not await self._is_back():
                    await self.recover()
                    await asyncio.sleep(_POLL_SECONDS)
                return True
        return False

    async def _is_back(self) -> bool:
        statuses = await self.statuses()
        if len(statuses) < len(INSTANCES) or set(statuses.values()) != {"healthy"}:
            return False
        return all(backlog_bytes(self._cluster.journal(name) / STORE_FOLDER) == 0 for name in INSTANCES)

    async def _ask(self, instance: str, order: dict[str, str] | None) -> dict[str, Any] | None:
        url = self._cluster.urls[instance] + "/v1/operate/failover"
        headers = {"Authorization": f"Bearer {self._cluster.keys['operator']}"}
        with suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
            async with self._session.request(
                "POST" if order else "GET", url, json=order, headers=headers, timeout=aiohttp.ClientTimeout(total=5)
            ) as response:
                return dict(await response.json()) if response.status == 200 else None
        return None

    # ---- logs

    def changes(self) -> list[Change]:
        """Every change of status that the instances logged, oldest first."""
        found = [
            Change(name, at, str(line["new"]), str(line.get("reason", "")))
            for name in INSTANCES
            for at, line in self.lines(name, "store_status")
        ]
        return sorted(found, key=lambda change: change.at)

    def without_store(self) -> list[Alone]:
        """When each instance could ask neither store."""
        found, begun = [], dict[str, float]()
        for change in self.changes():
            if change.new == "both_fatal":
                begun.setdefault(change.instance, change.at - _FOUND_OUT_SECONDS)
            elif change.instance in begun:
                found.append(Alone(change.instance, begun.pop(change.instance), change.at))
        return found + [Alone(instance, since, math.inf) for instance, since in begun.items()]

    def lines(self, instance: str, event: str) -> Iterator[tuple[float, dict[str, Any]]]:
        """The lines of an instance's logs about an event, with their time in seconds since 1970."""
        wanted = event.encode()
        for path in self._cluster.members[instance].logs:
            for text in path.read_bytes().splitlines():
                if wanted not in text:
                    continue
                with suppress(msgspec.MsgspecError):
                    line = msgspec.json.decode(text, type=dict[str, Any])
                    if line.get("event") == event:
                        yield datetime.fromisoformat(line["timestamp"]).timestamp(), line

    # ---- journals

    def undrained(self) -> list[str]:
        """The journals that hold something, by instance and folder, and what was set aside."""
        found = []
        for name in INSTANCES:
            folder = self._cluster.journal(name)
            for part in (STORE_FOLDER, EVENTS_FOLDER):
                size = backlog_bytes(folder / part)
                found += [f"instance {name}: {size} bytes in the journal of {part}"] if size else []
                aside = [*folder.glob(f"{part}/*.rejected"), *folder.glob(f"{part}/*.damaged")]
                found += [f"instance {name}: {path.name} was set aside in the journal of {part}" for path in aside]
        return found

    async def keep_journals(self, folder: Path) -> None:
        """Keep every journal of the store that is ever begun, until cancelled: a second name for the same file."""
        while True:
            for name in INSTANCES:
                kept = folder / name
                kept.mkdir(parents=True, exist_ok=True)
                for path in (self._cluster.journal(name) / STORE_FOLDER).glob(f"*{SUFFIX}"):
                    with suppress(FileExistsError, FileNotFoundError):
                        os.link(path, kept / path.name)
            await asyncio.sleep(_POLL_SECONDS)
