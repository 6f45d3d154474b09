"""Copies the API keys in use to the backup and into what this instance knows: they are made and ended beside the service, so
nobody else brings them there.
"""

from __future__ import annotations

from datetime import datetime

from core.clock import Clock
from service.facts import ApiKey, ApiKeyRevocation
from service.failover.known_keys import KnownKeys
from service.failover.mirroring import Mirroring

_AGAIN_SECONDS = 60.0
"""A key in use is copied again after so long: a backup that was started empty, or that let it go, must have it back."""
_COPIED_MAX = 10_000


class KeyCopies:
    """`heard` is told what the primary store says of a key."""

    def __init__(self, keys: KnownKeys, mirroring: Mirroring, *, clock: Clock) -> None:
        self._keys, self._mirroring, self._clock = keys, mirroring, clock
        self._copied: dict[str, datetime] = {}

    def get(self, key_hash: str) -> ApiKey | None:
        """The key, as far as this instance knows it."""
        return self._keys.get(key_hash)

    def heard(self, key_hash: str, key: ApiKey | None) -> None:
        """The primary store has this key, or (None) has it no longer."""
        now = self._clock()
        if key is None:
            if self._keys.get(key_hash) is not None:
                self._keys.forget(key_hash)
                self._mirroring.soon([ApiKeyRevocation(key_hash=key_hash, at=now)])
            return
        self._keys.learn(key)
        copied = self._copied.get(key_hash)
        if copied is not None and 0 <= (now - copied).total_seconds() < _AGAIN_SECONDS:
            return
        if len(self._copied) >= _COPIED_MAX:
            self._copied.clear()
        self._copied[key_hash] = now
        self._mirroring.soon([key])
