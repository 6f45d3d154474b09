"""Finds out that the primary store is silent, within the time that a call would wait for it, and whether anybody calls or not.

Calls alone are slow witnesses: of a server that hangs the first tells after the whole timeout. So it is asked something
bare with a short limit, every `probe_seconds` and at once when a batch is stuck. Contention and a slow network leave such
a question answered; two in a row without an answer, the second on a new connection, are the end of the store.
"""

from __future__ import annotations

import asyncio

import structlog

from core.clock import Timer
from core.errors import Unavailable
from core.settings.servers import Failover as FailoverSettings
from service.failover.state import State
from service.stores import Primary
from service.stores.faults import StoreLate

_log = structlog.get_logger(__name__)

_LOOK_SHARE = 0.25
"""Of the time between two questions: how often somebody looks whether a batch is stuck."""
_STUCK_SECONDS = 0.5
_SILENT_MAX = 2


class Pulse:
    """A task between `start` and `close`. While the primary store is called down the watch asks it, and this is silent."""

    def __init__(self, primary: Primary, state: State, settings: FailoverSettings, *, timer: Timer) -> None:
        self._primary, self._state, self._timer = primary, state, timer
        self._every_seconds = settings.probe_seconds
        self._asked_at = timer()
        self._silent = 0
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to ask."""
        self._task = asyncio.create_task(self._run(), name="pulse")

    async def close(self) -> None:
        """Ask no more."""
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def is_silent(self) -> bool:
        """The last question had no answer."""
        return self._silent > 0

    async def look(self) -> None:
        """Ask when it is time, or something is stuck."""
        if self._state.primary_down:
            self._silent = 0
            return
        is_due = self._timer() - self._asked_at >= self._every_seconds
        if is_due or self._silent or self._primary.stalled_seconds > _STUCK_SECONDS:
            self._asked_at = self._timer()
            await self._ask()

    async def _ask(self) -> None:
        word = self._state.last_word
        try:
            with self._state.primary_counted():
                await self._primary.pulse()
        except StoreLate as late:
            self._silent += 1
            self._state.worded.set()  # what the first call on the backup would wait for can be done meanwhile
            if self._silent >= _SILENT_MAX and self._state.last_word == word and not self._state.primary_down:
                self._state.primary_fatal(str(late))
        except Unavailable:
            self._silent = 0  # it was counted
        else:
            self._silent = 0

    async def _run(self) -> None:
        while not self._closing:
            await asyncio.sleep(min(_LOOK_SHARE * self._every_seconds, _STUCK_SECONDS))
            try:
                await self.look()
            except Exception:  # noqa: BLE001  # whatever it is, somebody has to go on asking
                _log.exception("failover_pulse")
