"""Idempotency keys: a call that is made again is answered again, not done again.

The answer of a call that did something is kept, a refusal before anything was done is not. A key in the store is a
digest, and so is the call: callers put numbers into both.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from uuid import UUID

import structlog

from core.clock import Clock
from core.errors import HeliographError
from service.errors import CallInFlight, KeyReused
from service.facts import FOLLOWS, AnyFact, IdempotencyAnswer, IdempotencyClaim
from service.stores import Claim, Store
from service.telemetry import Telemetry

_log = structlog.get_logger(__name__)

_RELEASED_MAX = 10_000
_ID_GOOD = timedelta(minutes=30)
"""An id carries the time of its claim. What is sent under an older one, because the call was refused and is made again hours
later, the warehouse would look for in the hour of the refusal, and a code would be over without a store."""


@dataclass(frozen=True)
class Reply:
    """An answer as it goes out. `replayed` marks one that was given before."""

    status: int
    body: bytes
    replayed: bool = False


class Keeper:
    """Gives the answer of one call as facts, so that it is kept in the transaction of what was done."""

    def __init__(self, answer: Callable[[Reply], IdempotencyAnswer] | None) -> None:
        self._answer = answer
        self.was_asked = False

    def facts(self, reply: Reply) -> list[AnyFact]:
        """What keeps `reply`; nothing for a call without a key."""
        self.was_asked = True
        return [self._answer(reply)] if self._answer else []


Doing = Callable[[UUID, Keeper], Awaitable[Reply]]


class Idempotency:
    """Remembers calls by their key. `in_flight_seconds` is longer than any call takes: after it the holder is dead."""

    def __init__(
        self,
        store: Store,
        *,
        secret: str,
        keep_hours: float,
        in_flight_seconds: float,
        clock: Clock,
        ids: Callable[[], UUID],
        telemetry: Telemetry,
    ) -> None:
        self._store = store
        self._keyed = hmac.new(secret.encode(), digestmod=sha256)
        self._keep = timedelta(hours=keep_hours)
        self.in_flight_max = timedelta(seconds=in_flight_seconds)
        """How long after its claim a call may still send."""
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._here: set[tuple[str, str]] = set()
        self._released: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def once(
        self,
        *,
        app: str,
        key: str,
        call: bytes,
        do: Doing,
        recover: Callable[[UUID], Awaitable[Reply | None]],
    ) -> Reply:
        """Do the call unless it was done. `do` gets the request id to use, and a keeper for its answer where something is
        written last; else the answer is kept after it. `recover` answers from facts when the process that did it died
        before it could. Raises `KeyReused`, `CallInFlight` and whatever `do` raises.
        """
        if not key:
            return await do(self._ids(), Keeper(None))
        fingerprint = self._digest(b"call\0" + call)
        name = self._digest(f"{app}\0{key}".encode())
        while True:
            claim = await self._claim(app, name, fingerprint)
            reply = await self._answered(claim, fingerprint, recover)
            if reply is not None:
                return reply
            holder = claim.holder
            if claim.ours or self._clock() - holder.at < _ID_GOOD:
                return await self._do((app, holder.idempotency_key), holder, do)
            name = holder.idempotency_key + FOLLOWS

    async def _answered(
        self, claim: Claim, fingerprint: str, recover: Callable[[UUID], Awaitable[Reply | None]]
    ) -> Reply | None:
        """The answer that the call had, or nothing where it has to be done."""
        holder = claim.holder
        if not hmac.compare_digest(holder.fingerprint, fingerprint):
            raise KeyReused("this Idempotency-Key was used for another call")
        if claim.answer is not None:
            self._telemetry.replayed.inc()
            return Reply(claim.answer.status, claim.answer.body, replayed=True)
        if claim.ours:
            return None
        self._require_abandoned((holder.app, holder.idempotency_key), holder)
        lost = await recover(holder.request_id)
        if lost is not None:
            await self._keep_answer(holder, lost)
        return lost

    async def _do(self, place: tuple[str, str], holder: IdempotencyClaim, do: Doing) -> Reply:
        if place in self._here:
            raise CallInFlight("the first call with this Idempotency-Key is not done")
        self._here.add(place)
        self._released.pop(place, None)
        keeper = Keeper(lambda reply: self._answer(holder, reply))
        try:
            reply = await do(holder.request_id, keeper)
        except HeliographError:
            self._release(place)  # nothing was done: the same call may be made again with the same key
            raise
        finally:
            self._here.discard(place)
        if not keeper.was_asked:
            await self._keep_answer(holder, reply)
        return reply

    def _require_abandoned(self, place: tuple[str, str], holder: IdempotencyClaim) -> None:
        if place in self._released and place not in self._here:
            return
        age = self._clock() - holder.at
        if place in self._here or age < self.in_flight_max:
            raise CallInFlight("the first call with this Idempotency-Key is not done")

    async def _claim(self, app: str, name: str, fingerprint: str) -> Claim:
        """The claim that counts now: a key whose time is over is followed by a new one of the name that comes after it."""
        while True:
            now = self._clock()
            wanted = IdempotencyClaim(
                app=app, idempotency_key=name, at=now, fingerprint=fingerprint, request_id=self._ids()
            )
            claim = await self._store.claim(wanted)
            if claim.ours or now - claim.holder.at < self._keep:
                return claim
            name += FOLLOWS

    def _digest(self, words: bytes) -> str:
        keyed = self._keyed.copy()  # `hmac.digest` lets go of the interpreter each time
        keyed.update(words)
        return keyed.hexdigest()

    def _answer(self, holder: IdempotencyClaim, reply: Reply) -> IdempotencyAnswer:
        return IdempotencyAnswer(
            app=holder.app,
            idempotency_key=holder.idempotency_key,
            at=self._clock(),
            status=reply.status,
            body=reply.body,
        )

    async def _keep_answer(self, holder: IdempotencyClaim, reply: Reply) -> None:
        try:
            await self._store.write([self._answer(holder, reply)])
        except HeliographError as error:
            # The call was done and is answered; asked again, it is answered from its facts.
            _log.warning("an answer could not be kept for its Idempotency-Key", reason=str(error))

    def _release(self, place: tuple[str, str]) -> None:
        self._released[place] = None
        if len(self._released) > _RELEASED_MAX:
            self._released.popitem(last=False)
