"""The folder of alerts: each is one file before anybody tries to send it, and what became of it on each channel another.

Files are whole or not there, and durable when a call returns. A disk that refuses costs durability, never the alert: it
is then kept in memory and sent from there. Several processes may share the folder; a channel is served by one at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from core.alerts.alert import Alert
from core.files import create_whole, held, replace_whole

_log = structlog.get_logger(__name__)

State = Literal["waiting", "delivered", "superseded", "given up"]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it was taken: when, in which thread, and from when on it may go to which channels."""

    alert: Alert
    told_at: datetime
    thread: str
    thread_title: str
    opened_at: datetime
    channels: Mapping[str, datetime]

    @property
    def name(self) -> str:
        """The name of its file, and in commands."""
        return self.alert.name

    @property
    def begins_thread(self) -> bool:
        """Nothing came before it."""
        return self.thread == self.name


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with one alert on one channel. `since` is when trying began, `at` when something last happened; `left` who
    still has to get it, where the others of the channel have it."""

    state: State = "waiting"
    since: datetime
    at: datetime
    again_at: datetime
    tries: int = 0
    reason: str = ""
    left: tuple[str, ...] = ()


class Outbox:
    """The folder, with what was read of it kept in memory (without pictures)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Told] = {}
        self._volatile: dict[str, Told] = {}
        self._passages: dict[tuple[str, str], Passage] = {}
        """Those that have ended, and those that the disk did not take."""

    def add(self, told: Told) -> bool:
        """Take it. False when the same was told before."""
        if told.name in self._volatile:
            return False
        try:
            is_new = create_whole(self._folder / "told" / f"{told.name}.json", msgspec.json.encode(told))
        except OSError as error:
            _log.error(
                "an alert is in memory alone: the disk did not take it", reason=error.strerror, title=told.alert.title
            )
            self._volatile[told.name] = told
            return True
        if is_new:
            self._known[told.name] = _light(told)
        return is_new

    def all(self) -> list[Told]:
        """Every alert that is kept, without its pictures, oldest first."""
        self._refresh()
        found = [*self._known.values(), *map(_light, self._volatile.values())]
        return sorted(found, key=lambda told: (told.told_at, told.alert.at, told.name))

    def whole(self, name: str) -> Told | None:
        """One alert with its pictures; None when it is not there any more."""
        return self._volatile.get(name) or self._read(self._folder / "told" / f"{name}.json")

    def last_of(self, key: str) -> Told | None:
        """What was told last under `key`."""
        of_key = [told for told in self.all() if told.alert.key == key]
        return of_key[-1] if of_key else None

    def passage(self, told: Told, channel: str) -> Passage:
        """How it stands with an alert on a channel."""
        kept = self._passages.get((told.name, channel))
        if kept is not None:
            return kept
        from_when = told.channels[channel]
        fresh = Passage(since=from_when, at=told.told_at, again_at=from_when)
        try:
            return msgspec.json.decode(self._passage_path(told.name, channel).read_bytes(), type=Passage)
        except (OSError, msgspec.DecodeError):
            return fresh

    def keep(self, told: Told, channel: str, passage: Passage) -> None:
        """Note how it stands."""
        key = (told.name, channel)
        try:
            replace_whole(self._passage_path(*key), msgspec.json.encode(passage))
            self._passages.pop(key, None)
        except OSError as error:
            _log.error("what became of an alert could not be noted", channel=channel, reason=error.strerror)
            self._passages[key] = passage
        if passage.state in ("delivered", "superseded"):  # given up is not the end: another process may try again
            self._passages[key] = passage

    def forget(self, *, before: datetime, served: Collection[str]) -> None:
        """Remove what was told before then and waits for none of the channels that are `served`."""
        for told in self.all():
            if told.told_at >= before:
                continue
            waiting = [one for one in told.channels if self.passage(told, one).state == "waiting"]
            if any(one in served for one in waiting):
                continue
            for channel in waiting:
                _log.warning("an alert is forgotten that waited for a channel nobody serves", channel=channel,
                             alert=told.name, title=told.alert.title, told_at=told.told_at.isoformat())  # fmt: skip
            for channel in told.channels:
                self._passage_path(told.name, channel).unlink(missing_ok=True)
                self._passages.pop((told.name, channel), None)
            (self._folder / "told" / f"{told.name}.json").unlink(missing_ok=True)
            self._known.pop(told.name, None)
            self._volatile.pop(told.name, None)

    def reopen(self, told: Told, channel: str, *, at: datetime) -> None:
        """Let it be tried again, from now on."""
        self._passages.pop((told.name, channel), None)
        self.keep(told, channel, Passage(since=at, at=at, again_at=at))

    @contextmanager
    def claim(self, channel: str) -> Iterator[bool]:
        """Whether this process alone serves `channel` while the block runs. The lock ends with the process."""
        with ExitStack() as stack:
            try:
                is_ours = stack.enter_context(held(self._folder / "channels" / channel / "lock"))
            except OSError:
                is_ours = True  # a folder nobody can write to is nobody else's either
            yield is_ours

    def _refresh(self) -> None:
        folder = self._folder / "told"
        there = {path.stem: path for path in folder.glob("*.json")} if folder.exists() else {}
        for gone in self._known.keys() - there.keys():
            self._known.pop(gone, None)  # a courier looks through the folder at the same time
        for name in there.keys() - self._known.keys():
            told = self._read(there[name])
            if told is not None:
                self._known[name] = _light(told)

    def _read(self, path: Path) -> Told | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Told)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            _log.error("a kept alert cannot be read", file=path.name, reason=type(error).__name__)
            return None

    def _passage_path(self, name: str, channel: str) -> Path:
        return self._folder / "channels" / channel / f"{name}.json"


def _light(told: Told) -> Told:
    if not told.alert.pictures:
        return told
    return msgspec.structs.replace(told, alert=msgspec.structs.replace(told.alert, pictures=()))
