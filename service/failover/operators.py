"""Knows the keys that may lead back before anybody needs them: every key of scope `operate`, whether it was ever used or not.

An operator's key may lie in a safe until the night when the store that holds it is down; were it learned at its first use,
that night nobody could give the word to recover.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from core.clock import Clock, Timer
from core.errors import HeliographError
from service.facts import ApiKey, ApiKeyRevocation
from service.stores import Bookmark, Primary

_log = structlog.get_logger(__name__)

LOOK_SECONDS = 60.0
"""A key that was made, or ended, is known so on every instance after at most so long."""
_PAGE_MAX = 200
_STAGES = 2  # of the pages: keys, then what ended them

OnKey = Callable[[str, ApiKey | None], None]
"""Told the id of a key, and the key itself unless it was ended."""


class Operators:
    """`look` in quiet moments: `on_key` is told of each key."""

    def __init__(self, primary: Primary, *, on_key: OnKey, clock: Clock, timer: Timer) -> None:
        self._primary, self._on_key = primary, on_key
        self._clock, self._timer = clock, timer
        self._again = timer()

    async def look(self) -> None:
        """Ask for all keys, when it is time. A store that does not answer is asked again next time."""
        if self._timer() < self._again:
            return
        try:
            keys, ended = await self._all(self._clock())
        except HeliographError as error:
            _log.warning("operators_not_known", problem=str(error), hint="it is tried again")
            return
        for key in keys:
            if "operate" in key.scopes.split(","):
                self._on_key(key.key_hash, None if key.key_hash in ended else key)
        self._again = self._timer() + LOOK_SECONDS

    async def _all(self, now: datetime) -> tuple[list[ApiKey], set[str]]:
        keys: list[ApiKey] = []
        ended: set[str] = set()
        bookmark: Bookmark | None = Bookmark()
        while bookmark is not None and bookmark.stage < _STAGES:
            page = await self._primary.page(bookmark, now=now, claims_since=now, most=_PAGE_MAX)
            keys += [fact for fact in page.facts if isinstance(fact, ApiKey)]
            ended |= {fact.key_hash for fact in page.facts if isinstance(fact, ApiKeyRevocation)}
            bookmark = page.following
        return keys, ended
