"""API keys: made once and shown once, stored as a keyed hash, believed for a while without asking the store again.

A key ends in a seal under the service's secret, so that one that somebody made up costs no question of the store. Keys from
before have none: of such that no store knows, only so many are asked for.
"""

from __future__ import annotations

import hmac
import math
import re
import secrets
from base64 import urlsafe_b64encode
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from time import monotonic
from typing import Final

from core.clock import Clock, Timer
from core.errors import BadInput, Overloaded
from service.errors import KeyRefused
from service.facts import OWN_APP, ApiKey, ApiKeyRevocation
from service.guards.windows import SlidingCounts
from service.stores import Store

SCOPES: Final = ("send", "read", "operate")
_PREFIX = "hgk_"
_FRAME, _SEAL_FRAME = b"heliograph api key\0", b"heliograph seal of an api key\0"
_RANDOM_BYTES = 32
_UNSEALED_LENGTH = len(_PREFIX) + 43
_SEAL_BYTES = 6
STRANGE_MAX, STRANGE_SECONDS = 100, 10.0
"""So many keys without a seal that no store knows are asked for within so long, by each instance."""
_CACHED_MAX = 10_000
_APP = re.compile(r"(?!.*\d{7})[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True)
class Caller:
    """Whose key it is, and what it may do."""

    app: str
    scopes: frozenset[str]


class Keys:
    """Finds out who calls. The store is asked once in `cache_seconds` a key; it knows keys of late even while it is down."""

    def __init__(
        self, store: Store, *, secret: str, clock: Clock, cache_seconds: float, timer: Timer = monotonic
    ) -> None:
        self._store, self._secret = store, secret.encode()
        self._strange = SlidingCounts(window_seconds=STRANGE_SECONDS, keys_max=1, timer=timer)
        self._keyed = hmac.new(
            secret.encode(), _FRAME, sha256
        )  # copied: `hmac.digest` lets go of the interpreter each time
        self._clock = clock
        self._fresh = timedelta(seconds=cache_seconds)
        self._cache: OrderedDict[str, tuple[datetime, Caller | None]] = OrderedDict()

    async def caller(self, key: str) -> Caller:
        """Who this key belongs to. Raises `KeyRefused`, `Overloaded`, `Unavailable`."""
        if not key.startswith(_PREFIX):
            raise KeyRefused("this is no API key")
        keyed = self._keyed.copy()
        keyed.update(key.encode())
        key_hash, now = keyed.hexdigest(), self._clock()
        known = self._cache.get(key_hash)
        if known is None or not timedelta(0) <= now - known[0] < self._fresh:
            is_strange = (known is None or known[1] is None) and not self._is_sealed(key)
            known = (now, await (self._ask_some(key_hash, now) if is_strange else self._ask(key_hash, now)))
        if known[1] is None:
            raise KeyRefused("this API key does not count, or not any more")
        return known[1]

    def _is_sealed(self, key: str) -> bool:
        """Raises `KeyRefused` for a key that was never made here."""
        random, seal = key[:_UNSEALED_LENGTH], key[_UNSEALED_LENGTH:]
        is_forged = seal and not hmac.compare_digest(seal.encode(), _seal(self._secret, random).encode())
        if is_forged or len(key) < _UNSEALED_LENGTH:
            raise KeyRefused("this API key does not count, or not any more")
        return bool(seal)

    async def _ask_some(self, key_hash: str, now: datetime) -> Caller | None:
        """As long as it was not asked for too many of late."""
        if self._strange.count("") >= STRANGE_MAX:
            seconds = math.ceil(self._strange.seconds_until_below("", STRANGE_MAX))
            raise Overloaded("too many unknown API keys are tried", retry_after_seconds=max(1, seconds))
        self._strange.add("")
        return await self._ask(key_hash, now)

    async def _ask(self, key_hash: str, now: datetime) -> Caller | None:
        row = await self._store.api_key(key_hash)
        caller = Caller(row.app, frozenset(row.scopes.split(","))) if row else None
        self._cache[key_hash] = (now, caller)
        self._cache.move_to_end(key_hash)
        if len(self._cache) > _CACHED_MAX:
            self._cache.popitem(last=False)
        return caller


def new_key(*, app: str, scopes: frozenset[str], label: str, secret: str, now: datetime) -> tuple[str, ApiKey]:
    """A key and the fact to store; the key itself is not kept anywhere. Raises `BadInput`."""
    if not _APP.fullmatch(app):
        raise BadInput("an app is called by up to 32 small letters, digits, _ and -, beginning with a letter")
    if app == OWN_APP:
        raise BadInput(f"the service calls itself {OWN_APP}; choose another name for the app")
    unknown = scopes - set(SCOPES)
    if unknown or not scopes:
        raise BadInput("a key has one or more of the scopes " + ", ".join(SCOPES))
    random = _PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    key = random + _seal(secret.encode(), random)
    fact = ApiKey(
        key_hash=hash_key(secret.encode(), key), at=now, app=app, label=label, scopes=",".join(sorted(scopes))
    )
    return key, fact


def revocation(key_or_id: str, *, secret: str, now: datetime) -> ApiKeyRevocation:
    """The fact that ends a key, from the key itself or from its id. Raises `BadInput`."""
    if key_or_id.startswith(_PREFIX):
        return ApiKeyRevocation(key_hash=hash_key(secret.encode(), key_or_id), at=now)
    if not re.fullmatch(r"[0-9a-f]{64}", key_or_id):
        raise BadInput("this is neither an API key nor the id of one")
    return ApiKeyRevocation(key_hash=key_or_id, at=now)


def _seal(secret: bytes, random: str) -> str:
    return urlsafe_b64encode(hmac.digest(secret, _SEAL_FRAME + random.encode(), sha256)[:_SEAL_BYTES]).decode()


def hash_key(secret: bytes, key: str) -> str:
    """64 hex digits; they serve as the key's id too. A key has 256 random bits, so that one fast hash is enough."""
    return hmac.digest(secret, _FRAME + key.encode(), sha256).hex()
