"""How the two stores stand: which is down, since when and why. Every change is kept on disk, logged and told, once.

Refuses to choose a store or to ask one: it is told of failures and of what the watch and the operators find.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import structlog

from core.clock import Clock, Timer
from core.errors import Unavailable
from core.hooks import Step, no_step
from core.settings.servers import Failover as FailoverSettings
from service.failover.note import Note, keep_note
from service.failover.notices import Notice, NoticeKind, OnNotice
from service.failover.status import Change, Status
from service.failover.window import FailureWindow, Stretch
from service.stores.faults import FaultClass, fault_of

_log = structlog.get_logger(__name__)

_HISTORY_MAX = 50
_WORDS = (Status.MYSQL_FATAL, Status.RECOVERING)
"""What instances tell each other: which store is served from. A broken backup is each one's own matter."""
_WAY_BACK = (Status.RECOVERING, Status.HEALTHY)
"""Whoever missed the first of them hears the second."""
_MOMENT = timedelta(microseconds=1)
_NEVER = datetime.min.replace(tzinfo=UTC)


class State:
    """What this instance believes. `woken` is set whenever somebody should look at the stores now, `worded` when the
    others should hear of it."""

    def __init__(
        self,
        settings: FailoverSettings,
        *,
        folder: Path,
        clock: Clock,
        timer: Timer,
        on_notice: OnNotice,
        step: Step = no_step,
    ) -> None:
        self._folder, self._clock, self._timer = folder, clock, timer
        self._on_notice, self._step = on_notice, step
        self.primary_window = FailureWindow.of(settings, timer=timer)
        self.backup_window = FailureWindow.of(settings, timer=timer)
        self.instance = uuid4().hex
        self.backup_down = self.recovering = False
        self.since, self.reason = clock(), "started"
        self._moved = timer()
        self.last_word = _NEVER  # when the last word on the primary store was given
        self._order = 0  # of that word; a later one is believed
        self._epoch_heard, self._since_heard, self._heard_at = 0, _NEVER, _NEVER
        self.untold: Note | None = None  # the last word on the primary store, until the backup has carried it
        self.looks_well = Stretch(clock=clock, timer=timer)
        self.backup_is_well = Stretch(clock=clock, timer=timer)
        self.history: deque[Change] = deque(maxlen=_HISTORY_MAX)
        self.called_down = asyncio.Event()  # while the primary store is
        self.woken = asyncio.Event()
        self.worded = asyncio.Event()
        self._well_told = False
        self._troubles: dict[tuple[NoticeKind, str], str] = {}

    @property
    def primary_down(self) -> bool:
        """The primary store is not worth asking."""
        return self.called_down.is_set()

    @property
    def status(self) -> Status:
        """The status now, as this instance sees it."""
        if self.primary_down:
            return Status.BOTH_FATAL if self.backup_down else Status.MYSQL_FATAL
        if self.recovering:
            return Status.RECOVERING
        return Status.REDIS_FATAL if self.backup_down else Status.HEALTHY

    @property
    def way_back_at(self) -> datetime:
        """When the last word was given, or heard if that was later by our clock."""
        return max(self.last_word, self._heard_at)

    @property
    def unmoved_seconds(self) -> float:
        """For how long the status has been what it is, as far as this process knows."""
        return self._timer() - self._moved

    @property
    def order(self) -> int:
        """Of the last word on the primary store among all words: a later one has a greater number on every instance."""
        return self._order

    # ---- failures

    @contextmanager
    def primary_counted(self) -> Iterator[None]:
        """Count a failure of the primary store within the block, and raise it.

        A call that began before the last word tells how things stood before it: seen under load, those that were still
        waiting when an operator led back called a store down again that was well.
        """
        word = self.last_word
        try:
            yield
        except Unavailable as error:
            if self.last_word == word:
                self._primary_failed(error)
            raise

    def trouble(self, kind: NoticeKind, component: str, reason: str) -> None:
        """Something needs a hand; told once until it is over. `reason` is empty when it is over."""
        known = (kind, component) in self._troubles
        if reason and not known:
            self._troubles[kind, component] = reason
            self._notify(kind, component, reason)
        elif known and not reason:
            del self._troubles[kind, component]
            self._notify(kind, component, "it is over", is_over=True)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What needs a hand, in words."""
        return tuple(f"{component}: {reason}" for (_, component), reason in self._troubles.items())

    def _note_credentials(self, component: str, error: Unavailable) -> None:
        if fault_of(error) is FaultClass.CREDENTIALS:
            self.trouble("credentials", component, f"{error} ({error.hint})" if error.hint else str(error))

    def _primary_failed(self, error: Unavailable) -> None:
        self._note_credentials("mysql", error)
        is_first = not self.primary_window.is_suspicious
        self.primary_window.add(error)
        if not self.primary_down and self.primary_window.is_full:
            self.primary_fatal(str(error))
        elif is_first:
            self.woken.set()  # ask again now; after that at the pace of the probes, or a blip would fill the window

    @contextmanager
    def backup_counted(self) -> Iterator[None]:
        """Count a failure of the backup within the block, and raise it."""
        try:
            yield
        except Unavailable as error:
            self.backup_failed(error)
            raise

    def backup_failed(self, error: Unavailable) -> None:
        """Count a failure of the backup."""
        self._note_credentials("redis", error)
        self.backup_window.add(error)
        if not self.backup_down and self.backup_window.is_full:
            self.backup_fatal(str(error))

    # ---- changes

    def primary_fatal(self, reason: str, *, heard: Note | None = None) -> None:
        """From now on the backup serves."""
        self.looks_well.end()
        self._well_told = False
        self._move(reason, primary_down=True, recovering=False, heard=heard)

    def backup_fatal(self, reason: str) -> None:
        """From now on nothing is mirrored."""
        self.backup_is_well.end()
        self._move(reason, backup_down=True)

    def backup_well(self) -> None:
        """The backup is used again."""
        self.backup_window.clear()
        self._move("the backup takes writes again", backup_down=False)

    def primary_looks_well(self) -> None:
        """Tell it, once an outage, to whoever may give the word to recover."""
        if not self._well_told:
            self._well_told = True
            self._notify("looks_well", "mysql", "the primary store takes writes again: recover when you are sure")

    def recover(self, reason: str, *, heard: Note | None = None) -> None:
        """From now on the primary store serves, and journals are replayed."""
        self.primary_window.clear()
        self.looks_well.end()
        self._move(reason, primary_down=False, recovering=True, heard=heard)
        self._step("cut-over-recovering")
        self.woken.set()

    def recovered(self) -> None:
        """The primary store has everything."""
        self._step("cut-over-recovered")
        self._move("everything journaled was replayed", recovering=False)
        # Or whoever starts next would take up a replay that is over.
        self.untold = self.untold or msgspec.structs.replace(self.note(), status=Status.HEALTHY)

    # ---- notes

    def note(self) -> Note:
        """What others should know. A word keeps its time, whatever became of the backup since."""
        return Note(
            status=self.status,
            since=self.last_word if self.status in _WORDS else self.since,
            reason=self.reason,
            by=self.instance,
            renewed_at=self._clock(),
            epoch=self._order // 2,
        )

    def resume(self, note: Note) -> None:
        """Take up where the process before this one stopped."""
        self._call_down(note.status in (Status.MYSQL_FATAL, Status.BOTH_FATAL))
        self.recovering = note.status is Status.RECOVERING
        self.since, self.reason = note.since, note.reason
        self._take(note)

    def follow(self, note: Note, *, is_stale: bool) -> None:
        """Do as the others do, when theirs is the later word; `is_stale` when nobody replays any more.

        The word to go back holds for whoever missed it, however late he hears it: two instances must not serve from
        two stores. Those who serve from the primary store already need not begin to replay for it.
        """
        self._hear(note)
        if note.by == self.instance or not self._is_later(note):
            return
        reason = f"another instance: {note.reason}"
        is_over = note.status is Status.HEALTHY or is_stale
        if note.status is Status.MYSQL_FATAL and not self.primary_down:
            self.primary_fatal(reason, heard=note)
        elif note.status in _WAY_BACK and not self.recovering and (self.primary_down or not is_over):
            self.recover(reason, heard=note)
        elif not is_stale:  # one that is stale may yet turn out to be renewed
            self._take(note)

    def _is_later(self, note: Note) -> bool:
        return note.order > self._order if note.epoch else note.since > self.last_word

    def _take(self, note: Note) -> None:
        """Its word is the last that counts."""
        self.last_word = max(note.since, self.last_word)
        self._order = max(note.order, self._order)
        self._hear(note)

    def _hear(self, note: Note) -> None:
        self._epoch_heard = max(self._epoch_heard, note.epoch)
        self._since_heard = max(self._since_heard, note.since)

    def _move(
        self,
        reason: str,
        *,
        primary_down: bool | None = None,
        backup_down: bool | None = None,
        recovering: bool | None = None,
        heard: Note | None = None,
    ) -> None:
        old, was_down, was_recovering = self.status, self.primary_down, self.recovering
        self._call_down(was_down if primary_down is None else primary_down)
        self.backup_down = self.backup_down if backup_down is None else backup_down
        self.recovering = self.recovering if recovering is None else recovering
        new = self.status
        if new is old:
            return
        # Later than the last word even when the clock stepped back: an older version goes by it.
        self.since = (
            heard.since if heard else max(self._clock(), *(at + _MOMENT for at in (self.last_word, self._since_heard)))
        )
        self._moved = self._timer()
        if heard is not None:
            self._take(heard)
            self._heard_at = self._clock()
        elif self.primary_down != was_down or self.recovering > was_recovering:
            # What becomes of the backup is no word to the others.
            self._give_word()
        self.reason = reason
        self.history.append(Change(at=self.since, old=old, new=new, reason=reason))
        if new in _WORDS:
            self.untold = self.note()
            if heard is None:
                self.worded.set()
        try:
            keep_note(self._folder, self.note())  # synced on the event loop: a change is rare, and must not be lost
        except OSError as error:
            _log.error("status_not_kept", problem=error.strerror)
        _log.warning("store_status", old=str(old), new=str(new), reason=reason)
        self._notify("status", "store", reason, old=old, heard=heard is not None)
        self.woken.set()

    def _call_down(self, is_down: bool) -> None:
        if is_down:
            self.called_down.set()
        else:
            self.called_down.clear()

    def _give_word(self) -> None:
        self._epoch_heard += 1
        self.last_word, self._order = self.since, 2 * self._epoch_heard + self.primary_down

    def _notify(
        self,
        kind: NoticeKind,
        component: str,
        reason: str,
        *,
        old: Status | None = None,
        heard: bool = False,
        is_over: bool = False,
    ) -> None:
        notice = Notice(
            kind=kind,
            at=self._clock(),
            component=component,
            old=old or self.status,
            new=self.status,
            reason=reason,
            instance=self.instance,
            since=self.since,
            word=self.last_word,
            order=self._order,
            heard=heard,
            is_over=is_over,
        )
        self._on_notice(notice)
