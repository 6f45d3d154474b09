"""Sessions by name: settings, database and temporary tables that outlive a request, until nobody has asked for a while.

A session owns a handle only once a statement leaves something behind in it; until then its requests use pooled ones.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.clock import Clock
from sandbox.gateway.engine import Engine, Handle, Profile
from sandbox.gateway.errors import Code, refused

_LONGEST_SECONDS = 3600
DEFAULT_SECONDS = 60


@dataclass
class Session:
    """What a session keeps. `overrides` are settings of the request before, with the values they hide."""

    expires_at: datetime
    handle: Handle | None = None
    busy: bool = False
    database: str = ""
    current_database: str = ""
    overrides: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    def own(self, engine: Engine) -> Handle:
        """The handle of its own, opened at the first call."""
        if self.handle is None:
            self.handle = engine.fresh(Profile("", ()))
            self.database = self.current_database = _database(self.handle)
        return self.handle

    def prepare(self, settings: Mapping[str, str], database: str) -> None:
        """Make the own handle look as one request wants it; the next call takes it back."""
        assert self.handle is not None
        wanted_database = database or self.database
        if wanted_database != self.current_database:
            self.handle.use(wanted_database)
            self.current_database = wanted_database
        hidden = {name: before for name, (_, before) in self.overrides.items()}
        hidden |= _values(self.handle, [name for name in settings if name not in hidden])
        changes: dict[str, str | None] = {name: hidden[name] for name in self.overrides if name not in settings}
        changes |= {name: value for name, value in settings.items() if self.overrides.get(name, (None,))[0] != value}
        self.handle.apply(changes)
        self.overrides = {name: (value, hidden.get(name)) for name, value in settings.items()}

    def keep_database(self) -> None:
        """After a USE: what it chose is the session's database from now on."""
        assert self.handle is not None
        self.database = self.current_database = _database(self.handle)


class Sessions:
    """All sessions of the gateway. Safe to use from many threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def enter(self, name: str, *, must_exist: bool) -> Session:
        """The session, for one request alone. Raises errors 372 and 373 as ClickHouse does."""
        self.sweep()
        with self._lock:
            session = self._sessions.get(name)
            if session is None:
                if must_exist:
                    raise refused(Code.SESSION_NOT_FOUND, f"Session {name} not found")
                session = self._sessions[name] = Session(self._clock())
            if session.busy:
                raise refused(Code.SESSION_IS_LOCKED, f"Session {name} is locked by a concurrent client")
            session.busy = True
            return session

    def leave(self, session: Session, *, timeout_seconds: float) -> None:
        """The request is over; the session lives on for so long."""
        with self._lock:
            session.busy = False
            session.expires_at = self._clock() + timedelta(seconds=timeout_seconds)

    def sweep(self) -> None:
        """Drop the sessions nobody has asked for in time."""
        with self._lock:
            now = self._clock()
            over = [name for name, one in self._sessions.items() if not one.busy and one.expires_at <= now]
            handles = [self._sessions.pop(name).handle for name in over]
        for handle in handles:
            if handle is not None:
                handle.close()

    def close(self) -> None:
        """Drop them all."""
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            if session.handle is not None:
                session.handle.close()


def timeout_of(text: str) -> float:
    """`session_timeout` of a request, in seconds."""
    if not text:
        return DEFAULT_SECONDS
    try:
        seconds = int(text)
    except ValueError:
        raise refused(Code.INVALID_SESSION_TIMEOUT, f"Invalid session timeout: {text!r}") from None
    if not 0 <= seconds <= _LONGEST_SECONDS:
        raise refused(
            Code.INVALID_SESSION_TIMEOUT,
            f"Session timeout {seconds} is larger than max_session_timeout: {_LONGEST_SECONDS}",
        )
    return seconds


def _database(handle: Handle) -> str:
    return handle.column("SELECT currentDatabase()", {})[0][0]


def _values(handle: Handle, names: list[str]) -> dict[str, str | None]:
    if not names:
        return {}
    listed = "['" + "','".join(name.replace("\\", "\\\\").replace("'", "\\'") for name in names) + "']"
    rows = handle.column(
        "SELECT name, value, changed FROM system.settings WHERE name IN {names:Array(String)}", {"names": listed}
    )
    return {name: value if changed == "1" else None for name, value, changed in rows}
