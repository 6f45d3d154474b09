"""The API keys this instance has let in, hashed, in memory and in a file: while no store can be asked they go on working.

A key that was ended is forgotten when a store says so; one that no store has confirmed for a week counts no longer.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import OrderedDict
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from core.clock import Clock
from service.facts import ApiKey

FILE = "keys.jsonl"
KEYS_MAX = 10_000
_BELIEVED = timedelta(days=7)
_SAVED_AGAIN = timedelta(hours=1)


class KnownKey(msgspec.Struct, frozen=True):
    """A key and when a store last confirmed it."""

    confirmed_at: datetime
    key: ApiKey


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(KnownKey)


class KnownKeys:
    """`learn` and `forget` what a store says of a key; `save` when there is time for it."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._keys: OrderedDict[str, KnownKey] = OrderedDict()
        self._saved_at: dict[str, datetime] = {}
        self._changed = False

    def load(self) -> None:
        """What the process before this one knew. A line that cannot be read costs none of its neighbours."""
        try:
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return
        for line in lines:
            try:
                known = _decoder.decode(line)
            except (msgspec.MsgspecError, ValueError):
                continue
            self._keys[known.key.key_hash] = known
            self._saved_at[known.key.key_hash] = known.confirmed_at

    def get(self, key_hash: str) -> ApiKey | None:
        """The key, when a store confirmed it within the last week."""
        known = self._keys.get(key_hash)
        return known.key if known and self._clock() - known.confirmed_at < _BELIEVED else None

    def all(self) -> list[ApiKey]:
        """Every key that is known."""
        return [known.key for known in self._keys.values()]

    def learn(self, key: ApiKey) -> None:
        """A store confirmed it."""
        now = self._clock()
        self._keys[key.key_hash] = KnownKey(now, key)
        self._keys.move_to_end(key.key_hash)
        saved = self._saved_at.get(key.key_hash)
        self._changed |= saved is None or not timedelta(0) <= now - saved < _SAVED_AGAIN
        if len(self._keys) > KEYS_MAX:
            self._drop(next(iter(self._keys)))

    def forget(self, key_hash: str) -> None:
        """A store says that there is no such key, or none any more."""
        if key_hash in self._keys:
            self._drop(key_hash)

    async def save(self) -> None:
        """Keep what changed for the next process, whole or not at all, readable by us alone. Raises `OSError`."""
        if not self._changed:
            return
        rows = list(self._keys.values())
        self._saved_at = {row.key.key_hash: row.confirmed_at for row in rows}
        self._changed = False
        try:
            await asyncio.to_thread(self._write, rows)
        except (OSError, asyncio.CancelledError):
            self._changed = True  # who ends the process saves once more, and counts on no write that was under way
            raise

    def _write(self, rows: list[KnownKey]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, fresh = tempfile.mkstemp(dir=self._path.parent, prefix=FILE)  # for us alone, and for this write
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_encoder.encode_lines(rows))
                file.flush()
                os.fsync(file.fileno())
            Path(fresh).replace(self._path)
        except OSError:
            Path(fresh).unlink(missing_ok=True)  # a full disk is tried again and again
            raise

    def _drop(self, key_hash: str) -> None:
        del self._keys[key_hash]
        self._changed = True
