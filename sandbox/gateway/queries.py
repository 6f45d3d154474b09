"""Runs one request on the engine: reads the statement, picks a handle, and refuses what the request may not do.

Everything here blocks, and runs in a worker thread.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from sandbox.gateway.bodies import decoded
from sandbox.gateway.engine import Answer, Classified, Engine, Handle, Profile, can_stream
from sandbox.gateway.errors import Code, QueryRefused, refused
from sandbox.gateway.requests import Request
from sandbox.gateway.sessions import Session, Sessions, timeout_of
from sandbox.gateway.sql import Kind, Statement, called, parse

_HEAD_BYTES = 1 << 20
_QUERY_BYTES = 64 << 20
_PIECE_BYTES = 256 << 10
_PIECE_SECONDS = 0.02
_READONLY = "default: Cannot execute query in readonly mode"


@dataclass
class _Text:
    """The statement, the first bytes of its data, and the pieces still to be decoded."""

    statement: Statement
    first: bytes
    rest: Iterator[bytes]

    def data(self) -> Iterator[bytes]:
        data = self.first[self.statement.data_start :]
        return itertools.chain([data] if data else [], self.rest)


class Query:
    """One request on its way. `start` gives the whole answer, or None when `next_piece` is to be called until it gives None.

    `finish` always follows, at the latest; it is done before the last byte is sent, so that a client that has its answer
    finds its session free.
    """

    def __init__(self, engine: Engine, sessions: Sessions, request: Request) -> None:
        self._engine = engine
        self._sessions = sessions
        self._request = request
        self._session: Session | None = None
        self._handle: Handle | None = None
        self._lock = threading.Lock()
        self._clean = True
        self._only_reads = False
        self._pieces: Generator[bytes, None, None] | None = None
        self._first = b""
        self.output_format = ""
        self.is_finished = False

    def start(self) -> Answer | None:
        """Run it. Raises `QueryRefused`."""
        try:
            answer = self._start()
        except BaseException:
            self.finish()
            raise
        if answer is not None:
            self.finish()
        return answer

    def next_piece(self) -> bytes | None:
        """The next blocks of a stream, up to a size or a short while. Raises `QueryRefused` when it breaks off."""
        first, self._first = self._first, b""
        if first or self._pieces is None:
            return first or None
        try:
            piece, over = self._gather(self._pieces)
        except QueryRefused:
            self.finish()
            raise
        if over:
            self.finish()
        return piece or None

    def _start(self) -> Answer | None:
        request = self._request
        timeout_of(request.session_timeout)
        text = _read_text(request)
        if request.session_id:
            self._session = self._sessions.enter(request.session_id, must_exist=request.session_check)
        handle = self._choose_handle(text.statement)
        if text.statement.kind is Kind.INSERT_DATA:
            return self._insert(handle, text)
        return self._run(handle, text.statement)

    def abandon(self) -> None:
        """Nobody waits for the answer: end it if it only reads. A write goes on, as on a real server."""
        with self._lock:  # or the kill would meet the next request on a handle that was just given back
            if self._handle is not None and self._only_reads:
                self._clean = False  # what is read next on a handle that was told to stop may break off
                self._engine.kill(self._handle)

    def finish(self) -> None:
        """Give everything back, once. A stream that is not at its end is ended."""
        self.is_finished = True
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            pieces.close()
        session, self._session = self._session, None
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is not None and (session is None or handle is not session.handle):
            self._engine.give(handle, clean=self._clean)
        if session is not None:
            seconds = 0.0 if self._request.close_session else timeout_of(self._request.session_timeout)
            self._sessions.leave(session, timeout_seconds=seconds)
            if self._request.close_session:
                self._sessions.sweep()

    def _choose_handle(self, statement: Statement) -> Handle:
        request = self._request
        session = self._session
        if session is not None and (session.handle is not None or _leaves_something(statement)):
            handle = session.own(self._engine)
            sets = statement.kind is Kind.SET
            session.prepare({} if sets else request.settings, "" if statement.kind is Kind.USE else request.database)
        else:
            settings = dict(request.settings)
            if request.readonly != "0":
                settings["readonly"] = request.readonly
            handle = self._engine.take(Profile(request.database, tuple(sorted(settings.items()))))
        self._handle = handle
        return handle

    def _owns_state(self) -> bool:
        return self._session is not None and self._session.handle is self._handle

    def _insert(self, handle: Handle, text: _Text) -> Answer:
        self._clean = False  # the engine keeps an INSERT's own SETTINGS and parameters on the connection if it fails
        if self._request.readonly != "0":
            raise refused(Code.READONLY, _READONLY)
        with self._engine.spool.file(text.data()) as file:
            answer = handle.insert(text.statement, file, self._request.parameters)
        self._clean = not self._request.parameters and b"settings" not in text.statement.head.lower()
        return answer

    def _run(self, handle: Handle, statement: Statement) -> Answer | None:
        request = self._request
        told = handle.classify(statement.head)
        if told.statement_count > 1:
            raise refused(Code.SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed)")
        if request.readonly != "0":
            self._refuse_write(statement, told)
            self._refuse_outside(statement)
        self._clean = not told.is_control
        self._only_reads = told.reads_only
        self.output_format = self._engine.formats.get((statement.output_format or request.default_format).lower(), "")
        if statement.kind is Kind.SELECT and told.reads_only and not request.wait and can_stream(self.output_format):
            return self._stream(handle, statement)
        answer = handle.run(statement.head, request.default_format, request.parameters)
        if statement.kind is Kind.USE and self._session is not None:
            self._session.keep_database()
        return answer

    def _stream(self, handle: Handle, statement: Statement) -> Answer | None:
        """The whole answer when it is short, else nothing yet: an error in the first piece still gets a status of its own."""
        self._pieces = handle.stream(statement.head, self.output_format, self._request.parameters)
        self._first, over = self._gather(self._pieces)
        return Answer(body=self._first) if over else None

    @staticmethod
    def _gather(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
        """Blocks up to a size or a short while, and whether there are no more."""
        gathered = []
        size = 0
        started = time.monotonic()
        for piece in pieces:
            gathered.append(piece)
            size += len(piece)
            if size >= _PIECE_BYTES or time.monotonic() - started > _PIECE_SECONDS:
                return b"".join(gathered), False
        return b"".join(gathered), True

    def _refuse_write(self, statement: Statement, told: Classified) -> None:
        """The engine refuses writes to tables itself; these are the writes that it lets pass."""
        if told.reads_only or statement.kind in (Kind.SET, Kind.USE):
            return
        unreadable = told.statement_count == 0 and statement.kind is not Kind.SELECT
        if told.is_control or unreadable or self._owns_state() or statement.kind is Kind.INSERT_SELECT:
            raise refused(Code.READONLY, _READONLY)

    def _refuse_outside(self, statement: Statement) -> None:
        """The engine lets level 2 call `file`, `url` and their like, and any level a scalar `file`."""
        for name in called(statement.head):
            if name == "\\" or name in self._engine.reaching_outside:
                raise refused(Code.READONLY, f"{_READONLY}: {name} reaches outside")


def _leaves_something(statement: Statement) -> bool:
    if statement.kind in (Kind.SET, Kind.USE):
        return True
    words = statement.head[:200].upper().split()
    return statement.kind is Kind.OTHER and any(word in words for word in (b"TEMPORARY", b"TEMP"))


def _read_text(request: Request) -> _Text:
    pieces = decoded(request.body, request.body_encoding)
    text = request.query.encode(errors="surrogateescape") + (b"\n" if request.query and request.body else b"")
    complete = False
    while len(text) < _HEAD_BYTES and not complete:
        piece = next(pieces, None)
        complete = piece is None
        text += piece or b""
    try:
        statement = parse(text)
    except QueryRefused:
        if complete:
            raise
        return _read_whole(text, pieces)  # cut in the middle of a word, perhaps
    if complete or statement.kind is Kind.INSERT_DATA:
        return _Text(statement, text, pieces)
    return _read_whole(text, pieces)


def _read_whole(text: bytes, pieces: Iterator[bytes]) -> _Text:
    gathered = [text]
    size = len(text)
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size > _QUERY_BYTES:
            raise refused(Code.QUERY_IS_TOO_LARGE, f"The statement is longer than {_QUERY_BYTES} bytes")
    whole = b"".join(gathered)
    return _Text(parse(whole), whole, iter(()))
