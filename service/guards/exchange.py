"""Tells the other instances what this one counted, and hears what they did: once a second, off the path of any call.

Counts are hints, not facts: they live in Redis for an hour, and while it is away every instance goes by its own. Each
says when it was left: an instance that ended, or that has no more to say of a key, leaves its last count behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from time import monotonic
from typing import NamedTuple, Protocol, cast

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core.attention import within
from core.clock import Clock, Timer, utc_now
from core.errors import ConfigurationError, MirrorUnavailable
from core.settings.servers import Mirror as MirrorSettings
from service.stores.redis import CHECKED

_log = structlog.get_logger(__name__)

PERIOD_SECONDS = 1.0
_LIFE_SECONDS = 3600


class Left(NamedTuple):
    """What another instance left, and how long ago."""

    text: str
    age_seconds: float


class Exchange(Protocol):
    """Where instances meet."""

    async def swap(self, mine: Mapping[str, str]) -> dict[str, list[Left]]:
        """Leave `mine` by key, and get what the others left under the same keys. Raises `MirrorUnavailable`."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class RedisExchange:
    """One hash a key, one field an instance; what an instance left goes after an hour. It waits in time in which this
    process listened.
    """

    def __init__(
        self,
        settings: MirrorSettings,
        *,
        instance: str,
        clock: Clock = utc_now,
        listened: Timer = monotonic,
        namespace: str = "heliograph",
    ) -> None:
        self._instance, self._namespace = instance, namespace
        self._clock, self._listened = clock, listened
        self._timeout_seconds = settings.timeout_seconds
        try:
            self._redis = Redis.from_url(
                settings.url.get_secret_value(),
                socket_timeout=None,  # `_execute` alone limits: the client's own limits go by the wall
                socket_connect_timeout=None,
                max_connections=2,
                retry=Retry(NoBackoff(), 0),
                maint_notifications_config=CHECKED,
            )
        except ValueError as error:
            raise ConfigurationError(
                "mirror.url is not a Redis address", hint="redis://:password@host:port/0"
            ) from error

    async def swap(self, mine: Mapping[str, str]) -> dict[str, list[Left]]:
        now = self._clock().timestamp()
        pipeline = self._redis.pipeline(transaction=False)
        for key, value in mine.items():
            pipeline.hset(self._name(key), self._instance, f"{now:.0f} {value}")
            pipeline.expire(self._name(key), _LIFE_SECONDS)
            pipeline.hgetall(self._name(key))
        answers = await self._execute(pipeline)
        found = {key: self._others(answers[3 * index + 2], now) for index, key in enumerate(mine)}
        old = {
            key: [name for name, left in rows.items() if left.age_seconds >= _LIFE_SECONDS]
            for key, rows in found.items()
        }
        await self._forget({key: names for key, names in old.items() if names})
        return {key: [left for name, left in rows.items() if name not in old[key]] for key, rows in found.items()}

    async def close(self) -> None:
        await self._redis.aclose()

    def _name(self, key: str) -> str:
        return f"{self._namespace}:guard:{key}"

    async def _execute(self, pipeline: Pipeline) -> list[object]:
        try:
            async with within(self._timeout_seconds, listened=self._listened):
                return await cast("Awaitable[list[object]]", pipeline.execute())
        except (RedisError, OSError, ValueError) as error:
            raise MirrorUnavailable(f"counts were not shared: {type(error).__name__}") from error

    async def _forget(self, names: Mapping[str, list[str]]) -> None:
        """Instances that ended would else be listed under a key for as long as anybody writes to it."""
        if not names:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for key, instances in names.items():
            pipeline.hdel(self._name(key), *instances)
        await self._execute(pipeline)

    def _others(self, fields: object, now: float) -> dict[str, Left]:
        found = {
            name.decode(errors="replace"): value.decode(errors="replace")
            for name, value in cast("dict[bytes, bytes]", fields).items()
        }
        return {name: _left(value, now) for name, value in found.items() if name != self._instance}


def _left(value: str, now: float) -> Left:
    """What cannot be read is as old as can be."""
    at, _, text = value.partition(" ")
    return Left(text, max(0.0, now - int(at)) if at.isdecimal() and text else _LIFE_SECONDS)


class Sharing:
    """The task that swaps, for whoever offers `to_tell` and `hear`."""

    def __init__(self, exchange: Exchange, subject: Shared, *, period_seconds: float = PERIOD_SECONDS) -> None:
        self._exchange = exchange
        self._subject = subject
        self._period_seconds = period_seconds
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._was_well = True

    def start(self) -> None:
        """Begin to swap."""
        self._task = asyncio.create_task(self._run(), name="guards")

    async def stop(self) -> None:
        """Stop, and let go of the connection."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(RedisError, OSError):
            await self._exchange.close()

    async def swap_once(self) -> None:
        """One exchange. What cannot be had from the others is forgotten: an old count would refuse for ever."""
        mine = self._subject.to_tell()
        if not mine:
            self._subject.hear({})
            return
        try:
            self._subject.hear(await self._exchange.swap(mine))
            self._was_well = True
        except MirrorUnavailable as error:
            self._subject.hear({})
            if self._was_well:
                _log.warning("guards_not_shared", problem=str(error))
            self._was_well = False

    async def _run(self) -> None:
        while not self._closing:  # cancellation alone may be swallowed by the client's wait_for (Python 3.11)
            try:
                await self.swap_once()
            except Exception:  # noqa: BLE001  # whatever it is, the counts have to be shared again
                _log.exception("guards_not_shared")
            await asyncio.sleep(self._period_seconds)


class Shared(Protocol):
    """What has counts to share."""

    def to_tell(self) -> Mapping[str, str]:
        """Counts of this instance, by key."""
        ...

    def hear(self, elsewhere: Mapping[str, list[Left]]) -> None:
        """Counts of the others under those keys."""
        ...
