"""Fills a backup that lost its data (started empty, flushed) from the primary store, page by page, on one instance.

Nothing waits for it. Until it is through, an id that the backup does not know is still presumed good by what follows from
it; see `presumption`.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from core.clock import Clock
from core.errors import BadInput, HeliographError
from service.stores import Backup, Bookmark, Primary

_log = structlog.get_logger(__name__)

PAGE_MAX = 200
_PAUSE_SECONDS = 0.02  # other readers come first


class Warming:
    """`look` whenever all is well; it fills the backup when that says it is cold."""

    def __init__(self, *, primary: Primary, backup: Backup, claims_kept: timedelta, clock: Clock) -> None:
        self._primary, self._backup = primary, backup
        self._claims_kept = claims_kept
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Begin when the backup is cold and nobody is at it. Raises `Unavailable`."""
        if self._task is not None and not self._task.done():
            return
        if await self._backup.begin_warming():
            self._task = asyncio.create_task(self._fill(), name="warming")

    async def close(self) -> None:
        """Stop; another instance begins anew."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _fill(self) -> None:
        now, copied = self._clock(), 0
        bookmark: Bookmark | None = Bookmark()
        try:
            while bookmark is not None:
                page = await self._primary.page(bookmark, now=now, claims_since=now - self._claims_kept, most=PAGE_MAX)
                await self._backup.mirror(page.facts)
                await self._backup.go_on_warming()
                copied, bookmark = copied + len(page.facts), page.following
                await asyncio.sleep(_PAUSE_SECONDS)
            await self._backup.end_warming()
        except BadInput as refused:
            _log.error("backup_not_warmed", problem=str(refused))
            return
        except HeliographError as error:
            _log.warning("backup_not_warmed", problem=str(error), hint="it is tried again")
            return
        _log.info("backup_warmed", facts=copied)
