"""Watches both stores: probes what failed, hears and tells the other instances, and replays until nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import datetime

import structlog

from core.clock import Clock, Timer
from core.errors import HeliographError, Overloaded, Unavailable
from core.settings.servers import Failover as FailoverSettings
from service.failover.backlog import Backlog
from service.failover.known_keys import KnownKeys
from service.failover.makers import Maker
from service.failover.note import Note, decode_note, encode_note
from service.failover.operators import Operators
from service.failover.owed import Owed
from service.failover.pulse import Pulse
from service.failover.state import State
from service.failover.status import Status
from service.failover.warming import Warming
from service.stores import Backup, Primary

_log = structlog.get_logger(__name__)

HEARD_AFTER_PROBES = 2
"""After so many all who can be told have heard a word."""
_HASTE_SECONDS = 0.25
"""Between two looks while another instance owes and has not said why: its word is on the way."""
_RENEWALS_MISSED_MAX = 5
_RENEWED_WITHIN_PROBES = 2
"""Whoever replays renews his note at every probe."""
_PROBES_PASSED_MIN = 3
"""With both stores down the first that comes back is used after so many: codes go on meanwhile, and nothing flaps."""


class Watch:
    """One task that looks every `probe_seconds`, and at once when the state is woken."""

    def __init__(
        self,
        *,
        primary: Primary,
        backup: Backup,
        state: State,
        backlog: Backlog,
        owed: Owed,
        keys: KnownKeys,
        maker: Maker,
        operators: Operators,
        warming: Warming,
        settings: FailoverSettings,
        clock: Clock,
        timer: Timer,
    ) -> None:
        self._primary, self._backup = primary, backup
        self._state, self._backlog, self._owed = state, backlog, owed
        self._keys, self._maker, self._operators, self._warming = keys, maker, operators, warming
        self._settings, self._clock, self._timer = settings, clock, timer
        self._renewal: tuple[str, datetime] | None = None  # who renewed the note last, and when by his clock
        self._renewed = 0.0  # when we saw that, by our timer
        self._task: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._pulse = Pulse(primary, state, settings, timer=timer)
        self._closing = False

    async def start(self) -> None:
        """Hear the others, ask the primary store, and begin to watch."""
        note = await self.listen()
        if note is not None and self._is_stale(note):  # by a clock that may be ahead of theirs
            await asyncio.sleep(_RENEWED_WITHIN_PROBES * self._settings.probe_seconds)
            await self.listen()
        if not self._state.primary_down:
            await self._ask_at_start()
        await self._say_what_is_owed()
        self._task = asyncio.create_task(self._run(), name="failover")
        self._telling = asyncio.create_task(self._tell_words(), name="failover-words")
        self._pulse.start()

    async def close(self) -> None:
        """Stop watching."""
        self._closing = True
        self._state.woken.set()
        await self._pulse.close()
        tasks = [task for task in (self._task, self._telling) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not self._state.backup_down:
            with suppress(Unavailable):
                await self._owed.leave()
                if self._backlog.is_quiet:
                    await self._owed.settle(for_good=True)
        await self._warming.close()
        await self._keep_keys()

    async def tell(self) -> None:
        """Tell the others that the primary store is down, or being gone back to; a broken backup is each one's own matter."""
        state = self._state
        if state.status in (Status.MYSQL_FATAL, Status.RECOVERING):
            note = state.note()
        elif state.untold is not None and not state.backup_down:
            note = state.untold  # as old as it is: whoever followed long ago has nothing to wait for
        else:
            return
        untold = state.untold
        with suppress(Unavailable):
            is_last = await self._backup.set_note(encode_note(note), order=note.order)
            if state.untold is untold:
                state.untold = None
            if not is_last:
                await self.listen()

    async def listen(self) -> Note | None:
        """Do as the others do, when theirs is the later word. Returns what was heard."""
        if self._state.backup_down:
            return None
        try:
            note = decode_note(await self._backup.note())
        except Unavailable as error:
            self._state.backup_failed(error)
            return None
        if note is not None:
            self._state.follow(note, is_stale=self._is_stale(note))
        return note

    @property
    def _short_while_seconds(self) -> float:
        return _PROBES_PASSED_MIN * self._settings.probe_seconds

    @property
    def _pause_seconds(self) -> float:
        probe_seconds = self._settings.probe_seconds
        is_word_due = self._state.status is Status.HEALTHY and bool(self._owed.others)
        return min(probe_seconds, _HASTE_SECONDS) if is_word_due else probe_seconds

    def _is_stale(self, note: Note) -> bool:
        """Nobody replays any more: the note has not changed for a while by our timer. Only what was written before we
        first looked has to be judged by two clocks, which may be apart."""
        seen, now = (note.by, note.renewed_at), self._timer()
        if self._renewal is None:
            self._renewed = now - max(0.0, (self._clock() - note.renewed_at).total_seconds())
        elif seen != self._renewal:
            self._renewed = now
        self._renewal = seen
        patience_seconds = self._settings.probe_seconds * _RENEWALS_MISSED_MAX
        return note.status is Status.RECOVERING and now - self._renewed > patience_seconds

    async def _ask_at_start(self) -> None:
        try:
            await self._primary.probe()
        except Unavailable as error:
            self._state.primary_fatal(f"at start: {error}")
            await self.tell()

    async def _run(self) -> None:
        while not self._closing:  # not by cancellation alone: the Redis client's wait_for can swallow it (Python 3.11)
            self._state.woken.clear()
            try:
                await self._look()
            except HeliographError as error:
                _log.warning("failover_watch", problem=str(error), hint=error.hint)
            except Exception:  # noqa: BLE001  # whatever it is, somebody has to go on watching
                _log.exception("failover_watch")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_seconds):
                    await self._state.woken.wait()
                await asyncio.sleep(min(0.05, self._settings.probe_seconds))  # a storm of failures wakes once

    async def _tell_words(self) -> None:
        """At once, whatever the watch waits for: the others serve from a store that this instance has left."""
        while not self._closing:
            await self._state.worded.wait()
            self._state.worded.clear()
            try:
                await asyncio.gather(self._owe_early(), self.tell())
            except Exception:  # noqa: BLE001  # the watch tells it again
                _log.exception("failover_words")

    async def _owe_early(self) -> None:
        """What the first call on the backup would have to wait for."""
        if (self._state.primary_down or self._pulse.is_silent) and not self._state.backup_down:
            with suppress(Unavailable):
                await self._owed.owe()

    async def _prepare(self) -> None:
        """For worse times, in a quiet moment: while a journal waits, a claim in the primary store may not be the first."""
        if self._state.primary_down or self._state.recovering or self._state.primary_window.is_suspicious:
            return
        await self._operators.look()
        try:
            await self._maker.renew(self._primary.claim)
        except (Unavailable, Overloaded, OSError) as error:
            _log.warning("maker_not_renewed", problem=str(error))

    async def _keep_keys(self) -> None:
        try:
            await self._keys.save()
        except OSError as error:
            _log.error("keys_not_kept", problem=error.strerror)

    async def _look(self) -> None:
        state = self._state
        await self._keep_keys()
        await self._prepare()
        await self._look_at_journal()
        await self._look_at_backup()
        if state.untold:
            await self.tell()
        told = state.since
        await self.listen()
        await self._say_what_is_owed()
        if state.primary_down:
            await self._look_at_failed_primary()
        elif state.primary_window.is_suspicious:
            with state.primary_counted():
                await self._primary.probe()
            state.trouble("credentials", "mysql", "")
        if not state.primary_down and (state.recovering or not self._backlog.is_empty):
            await self._drain()
        if state.status is Status.HEALTHY and self._backlog.is_empty:
            await self._warm()
        if state.since != told or state.untold or not self._backlog.is_empty or state.primary_down:
            await self.tell()

    async def _say_what_is_owed(self) -> None:
        """What the others must know of this instance's journal, and what they say of theirs."""
        if self._state.backup_down:
            return
        with suppress(Unavailable), self._state.backup_counted():
            if not self._backlog.is_quiet:
                await self._owed.renew()
            elif not (self._state.primary_down or self._pulse.is_silent):
                await self._owed.settle()
        await self._owed.hear(anew=True)

    async def _look_at_journal(self) -> None:
        if self._backlog.trouble():
            with suppress(Unavailable):
                await self._backlog.probe()
                await self._backlog.catch_up()
        self._state.trouble("journal", "journal", self._backlog.trouble())

    async def _warm(self) -> None:
        try:
            await self._warming.look()
        except Unavailable as error:
            self._state.backup_failed(error)

    async def _look_at_backup(self) -> None:
        state = self._state
        if not state.backup_down:
            return
        if not await _passes(self._backup.probe()):
            state.backup_is_well.end()
            return
        state.trouble("credentials", "redis", "")
        state.backup_is_well.hold()
        # Nothing has to be replayed into it; but up a second and down a second must not look like forty changes.
        if state.backup_is_well.seconds >= (
            self._short_while_seconds if state.primary_down else self._settings.window_seconds
        ):
            state.backup_well()

    async def _look_at_failed_primary(self) -> None:
        state = self._state
        if not await _passes(self._primary.probe()):
            state.looks_well.end()
            return
        state.trouble("credentials", "mysql", "")
        state.looks_well.hold()
        if state.backup_down:
            if state.looks_well.seconds >= self._short_while_seconds:
                state.recover("it takes writes again, and the backup does not")
            return
        if state.looks_well.seconds < self._settings.window_seconds:
            return  # up a second and down a second is not well
        if self._settings.automatic_recovery:
            state.recover("it has looked well for long enough")
        else:
            state.primary_looks_well()

    async def _drain(self) -> None:
        with self._state.primary_counted():
            drained = await self._backlog.drain(self._primary)
        if drained:
            await self._say_what_is_owed()
        if drained and self._state.recovering and await self._others_are_drained():
            self._state.recovered()

    async def _others_are_drained(self) -> bool:
        if self._state.unmoved_seconds < HEARD_AFTER_PROBES * self._settings.probe_seconds:
            return False  # they may not have heard yet that there is something to replay
        await self._owed.hear(anew=True)
        return self._state.backup_down or not self._owed.others  # without the backup their facts cannot be asked for


async def _passes(probe: Awaitable[None]) -> bool:
    try:
        await probe
    except HeliographError:
        return False
    return True
