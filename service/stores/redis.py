"""The store on Redis or Valkey: the mirror of what lives, and the backup when the primary store is down.

Every write is one script, so it happens whole or not at all; entries go when nothing can ask for them any more. No
caller waits longer than the timeout in the settings and a quarter of a second, in which this process listened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from importlib import resources
from time import monotonic
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import msgspec
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from core.attention import within
from core.clock import Clock, Timer, utc_now
from core.errors import ConfigurationError
from core.events import Category, CheckResult
from core.settings.servers import Mirror as MirrorSettings
from service.facts import (
    AnyFact,
    ApiKey,
    ApiKeyRevocation,
    Approval,
    Check,
    IdempotencyAnswer,
    IdempotencyClaim,
    OptOut,
    Request,
    RequestState,
)
from service.stores import (
    Candidate,
    CheckOrder,
    CheckSubject,
    CheckVerdict,
    Claim,
    Earlier,
    Heard,
    SendSubject,
    redis_layout,
)
from service.stores.derive import (
    assemble,
    earlier_by_parts,
    facts_of_verdict,
    is_living,
    known_candidates,
    latest_word,
    newest,
)
from service.stores.faults import FactRefused, FaultClass, MirrorFault
from service.stores.redis_errors import classify
from service.stores.redis_layout import microseconds, place_of

Answer = TypeVar("Answer")

CHECKED = MaintNotificationsConfig(enabled=False)
"""While a client of version 8 waits for a server's word on maintenance, its pool hands out connections that have ended."""
_CONNECTIONS_MAX = 64
_RERUNS_MAX = 3
_RERUN_SECONDS = 0.05
_PATIENCE_SECONDS = 0.25
_SCRIPT_FACTS_MAX = 200  # a script holds up everybody else: this many take about two milliseconds
_PROBE_SECONDS = 60
_CALL_SECONDS = 60  # longer than anybody tries the same call
_SETTLED_SECONDS = 3600  # a journal that was drained is known as drained for so long, and then forgotten
_HEARERS_SECONDS = 3600  # an instance that has not been heard of for so long is gone
_WARMING_SECONDS = 30  # an instance that died while it filled the server is followed by another


class RedisStore:
    """A `Backup`. `namespace` begins every key, so that several services can share a server. `listened` stands still while
    this process is held up: it is no proof of a server's silence that nobody listened.
    """

    def __init__(
        self,
        settings: MirrorSettings,
        *,
        clock: Clock = utc_now,
        listened: Timer = monotonic,
        namespace: str = "heliograph",
    ) -> None:
        self._clock, self._listened = clock, listened
        self._namespace = namespace
        self._deadline_seconds = settings.timeout_seconds + _PATIENCE_SECONDS
        self._probe_key = self._key(f"probe:{uuid4()}")
        # The pool is bounded and waits: a hung server must not collect a connection for every caller.
        try:
            pool = BlockingConnectionPool.from_url(
                settings.url.get_secret_value(),
                max_connections=_CONNECTIONS_MAX,
                # `_do` alone limits: the client's own limits go by the wall, and pass while nobody listens.
                timeout=None,
                socket_timeout=None,
                socket_connect_timeout=None,
                # The client's own default keeps a caller for 3.5 s on a refused connection.
                retry=Retry(NoBackoff(), 0),
                maint_notifications_config=CHECKED,
            )
        except ValueError as error:
            raise ConfigurationError(
                "mirror.url is not a Redis address", hint="redis://:password@host:port/0"
            ) from error
        self._redis: Redis = Redis.from_pool(pool)
        self._write = self._redis.register_script(_script("write"))
        self._check = self._redis.register_script(_script("check"))
        self._claim = self._redis.register_script(_script("claim"))
        self._set_note = self._redis.register_script(_script("set_note"))
        self._owe = self._redis.register_script(_script("owe"))
        self._settle = self._redis.register_script(_script("settle"))
        self._hear = self._redis.register_script(_script("hear"))

    async def write(self, facts: Sequence[AnyFact]) -> list[bool]:
        if not facts:
            return []
        keys, arguments = self._laid_out(facts)
        told = await self._do(lambda: self._write(keys=keys, args=arguments))
        return [bool(new) for new in told]

    async def request(self, request_id: UUID) -> RequestState | None:
        return _state(await self._hash(redis_layout.request_hash(request_id)))

    async def brief(self, request_id: UUID) -> RequestState | None:
        return await self.request(request_id)

    async def checks(self, request_id: UUID) -> list[Check]:
        found = await self._hash(redis_layout.request_hash(request_id))
        return sorted((fact for fact in found if isinstance(fact, Check)), key=lambda row: row.check)

    async def living(self, *, app: str, phone_hash: str, purpose: str, now: datetime) -> RequestState | None:
        where = self._key(redis_layout.living_set(app=app, phone_hash=phone_hash, purpose=purpose))
        members = await self._do(lambda: self._redis.zrange(where, 0, -1))
        states = [_state(await self._hash(f"request:{member.decode()}")) for member in members]
        return newest(state for state in states if state is not None and is_living(state, now))

    def id_for(self, *, app: str, phone_hash: str, purpose: str, fresh: UUID) -> UUID:
        return fresh

    async def candidates(self, subject: CheckSubject) -> Sequence[Candidate]:
        return await known_candidates(self, subject)

    async def sends_since(self, *, phone_hash: str, category: Category, since: datetime) -> list[datetime]:
        where = self._key(redis_layout.sends_set(phone_hash, category))
        rows = await self._do(
            lambda: self._redis.zrange(where, microseconds(since), "+inf", byscore=True, withscores=True)
        )
        return [redis_layout.moment(score) for _, score in rows]

    async def earlier(self, subject: SendSubject) -> Earlier:
        return await earlier_by_parts(self, subject)

    async def opted_out(self, phone_hash: str) -> bool:
        facts = await self._hash(redis_layout.opt_out_hash(phone_hash))
        word = latest_word(fact for fact in facts if isinstance(fact, OptOut))
        return word is not None and word.keyword == "stop"

    async def check(self, order: CheckOrder) -> CheckVerdict:
        would_be: CheckResult = "expired" if order.expired else "approved" if order.attempt else "wrong"
        check, *approval = facts_of_verdict(order, CheckVerdict(check=1, result=would_be, checks_left=0))
        arguments: list[Any] = [
            order.checks_max,
            would_be,
            _unnumbered(check),
            _unnumbered(approval[0]) if approval else b"",
            redis_layout.MARGIN_SECONDS,
            _CALL_SECONDS,
        ]
        where = [self._key(redis_layout.request_hash(order.request_id)), self._key(f"call:{order.call}")]
        number, result, left = await self._do(lambda: self._check(keys=where, args=arguments))
        return CheckVerdict(check=number, result=cast("CheckResult", result.decode()), checks_left=left)

    async def claim(self, claim: IdempotencyClaim) -> Claim:
        where = [self._key(redis_layout.claim_hash(claim.app, claim.idempotency_key))]
        arguments: list[Any] = [redis_layout.encode(claim), redis_layout.WINDOW_SECONDS]
        held, answered = await self._do(lambda: self._claim(keys=where, args=arguments))
        holder = cast("IdempotencyClaim", redis_layout.decode(held))
        answer = cast("IdempotencyAnswer", redis_layout.decode(answered)) if answered else None
        return Claim(ours=holder.request_id == claim.request_id, holder=holder, answer=answer)

    async def api_key(self, key_hash: str) -> ApiKey | None:
        facts = await self._hash(redis_layout.key_hash(key_hash))
        if any(isinstance(fact, ApiKeyRevocation) for fact in facts):
            return None
        return next((fact for fact in facts if isinstance(fact, ApiKey)), None)

    async def probe(self) -> None:
        await self._do(lambda: self._redis.set(self._probe_key, b"", ex=_PROBE_SECONDS))

    async def close(self) -> None:
        await self._redis.aclose(close_connection_pool=True)

    async def mirror(self, facts: Sequence[AnyFact]) -> None:
        for start in range(0, len(facts), _SCRIPT_FACTS_MAX):
            await self.write(facts[start : start + _SCRIPT_FACTS_MAX])

    async def note(self) -> bytes:
        note: bytes | None = await self._do(lambda: self._redis.get(self._key("note")))
        return note or b""

    async def set_note(self, note: bytes, *, order: int) -> bool:
        keys = [self._key("note"), self._key("note-order")]
        return bool(await self._do(lambda: self._set_note(keys=keys, args=[note, order])))

    async def owe(self, journal: str, order: int) -> int:
        arguments: list[Any] = [journal, f"owed {order}"]
        return _time(await self._do(lambda: self._owe(keys=[self._key("owed")], args=arguments)))

    async def settle(self, journal: str) -> None:
        now = int(self._clock().timestamp())
        arguments: list[Any] = [journal, now, now - _SETTLED_SECONDS]
        await self._do(lambda: self._settle(keys=[self._key("owed")], args=arguments))

    async def hear(self, journal: str, *, until: int) -> Heard:
        where = [self._key("owed"), self._key("hearers")]
        arguments: list[Any] = [journal, until, _HEARERS_SECONDS]
        now, owed, hearers = await self._do(lambda: self._hear(keys=where, args=arguments))
        return Heard(
            at=_time(now),
            owed={
                name.decode(): int(word[5:]) if word.startswith(b"owed ") else None
                for name, word in zip(owed[::2], owed[1::2], strict=True)
            },
            hearers={name.decode(): int(heard) for name, heard in zip(hearers[::2], hearers[1::2], strict=True)},
        )

    async def leave(self, journal: str) -> None:
        await self._do(lambda: self._redis.hdel(self._key("hearers"), journal))

    async def begin_warming(self) -> bool:
        taken = await self._do(
            lambda: self._redis.set(self._key("warm"), b"warming", nx=True, ex=_WARMING_SECONDS), repeatable=False
        )
        return bool(taken)

    async def go_on_warming(self) -> None:
        await self._do(lambda: self._redis.set(self._key("warm"), b"warming", ex=_WARMING_SECONDS))

    async def end_warming(self) -> None:
        await self._do(lambda: self._redis.set(self._key("warm"), b"warm"))

    def _key(self, name: str) -> str:
        return f"{self._namespace}:{name}"

    def _laid_out(self, facts: Sequence[AnyFact]) -> tuple[list[str], list[Any]]:
        keys: list[str] = []
        places: list[tuple[str, str, int, int, str]] = []
        now = self._clock()
        for fact in facts:
            place = place_of(fact, now)
            keys += [self._key(place.hash), self._key(place.set) if place.member else place.set]
            value = redis_layout.encode(fact).decode()
            places.append((place.field, value, place.life_seconds, microseconds(fact.at), place.member))
        # In one argument: the client takes longer to frame each than the facts take otherwise.
        return keys, [msgspec.msgpack.encode(places), redis_layout.WINDOW_SECONDS]

    async def _hash(self, name: str) -> list[AnyFact]:
        fields = await self._do(lambda: self._redis.hgetall(self._key(name)))
        return [redis_layout.decode(value) for value in fields.values()]

    async def _do(self, call: Callable[[], Awaitable[Any]], *, repeatable: bool = True) -> Any:  # noqa: ANN401  # a reply has no type
        """Run one command within the deadline.

        What was not executed for a passing reason is run again, and once what was lost with its connection, which may
        have been closed while it was idle.
        """
        reruns, heard_from = 0, self._listened()
        try:
            async with within(self._deadline_seconds, listened=self._listened):
                while True:
                    try:
                        return await call()
                    except RedisError as error:
                        is_passing = classify(error) is FaultClass.TRANSIENT
                        is_lost = repeatable and reruns == 0 and type(error) is ConnectionLost
                        if reruns >= _RERUNS_MAX or not (is_passing or is_lost):
                            raise
                        reruns += 1
                        await asyncio.sleep(_RERUN_SECONDS if is_passing else 0)
        except TimeoutError as error:
            if self._listened() - heard_from < 0.9 * self._deadline_seconds:
                raise MirrorFault("the mirror was not listened to", fault=FaultClass.HELD_UP) from error
            raise _translate(error) from error
        except (RedisError, OSError, ValueError, TypeError) as error:
            raise _translate(error) from error


def _unnumbered(fact: Check | Approval) -> bytes:
    """As JSON with the number 0, which the script replaces."""
    return redis_layout.encode(msgspec.structs.replace(fact, check=0))


def _time(reply: Sequence[bytes]) -> int:
    """The server's TIME in microseconds."""
    seconds, microseconds_ = reply
    return 1_000_000 * int(seconds) + int(microseconds_)


def _script(name: str) -> str:
    return resources.files("service.stores").joinpath(f"{name}.lua").read_text(encoding="utf-8")


def _state(facts: Sequence[AnyFact]) -> RequestState | None:
    request = next((fact for fact in facts if isinstance(fact, Request)), None)
    return assemble(request, facts) if request else None


def _translate(error: BaseException) -> MirrorFault | FactRefused:
    fault = classify(error)
    what = type(error).__name__
    if fault is FaultClass.DATA:
        return FactRefused(f"the mirror cannot keep this: {what}")
    return MirrorFault(f"the mirror did not do it: {what}", fault=fault, hint=_HINTS[fault])


_HINTS = {
    FaultClass.FATAL: "check that the server of mirror.url is up, reachable and writable",
    FaultClass.TRANSIENT: "try again",
    FaultClass.SATURATED: "try again later; the server has too much to do",
    FaultClass.CREDENTIALS: "check the password in mirror.url and the rights of its user",
    FaultClass.HELD_UP: "give this program more of the processors, or run fewer beside it",
}
