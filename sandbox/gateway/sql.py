"""Reads as much of a statement as the gateway has to know: what kind it is, its formats, and where an INSERT's data begins.

The engine parses the statement itself; nothing here decides what it means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from sandbox.gateway.errors import Code, QueryRefused, refused

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/)
    |(?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$
        |\xe2\x80\x98.*?\xe2\x80\x99|\xe2\x80\x9c.*?\xe2\x80\x9d)
    |(?P<word>[A-Za-z_][\w$]*)
    |(?P<number>\d[\w.]*)
    |(?P<open>[(\[{])
    |(?P<close>[)\]}])
    |(?P<other>.)""",
    re.DOTALL | re.VERBOSE | re.ASCII,
)
_NAME_QUOTES = ("`", '"', "\xe2\x80\x9c")
_DATA_START = re.compile(rb"[ \t\f]*\r?\n?")


class Kind(Enum):
    """What the gateway does with a statement: run it, stream it, or push data into it."""

    SELECT = "select"
    INSERT_DATA = "insert"
    INSERT_SELECT = "insert select"
    SET = "set"
    USE = "use"
    OTHER = "other"


@dataclass(frozen=True)
class Token:
    """A word, upper-cased, or another token as it stands, with its place and how many brackets are open around it."""

    text: str
    end: int
    depth: int
    is_word: bool


@dataclass(frozen=True)
class Statement:
    """`head` is the statement without FORMAT and data where it is an INSERT of data, and the whole text otherwise.

    `source_at` is the place in the head where an INSERT says what it reads: before its SETTINGS, else at the end.
    """

    kind: Kind
    head: bytes
    source_at: int = 0
    input_format: str = ""
    output_format: str = ""
    data_start: int = 0


def tokens(text: str) -> Iterator[Token]:
    """The tokens outside comments, one by one, so that the data behind a statement need not be read."""
    depth = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup if match.lastgroup != "tag" else "quoted"
        if kind == "skip":
            continue
        depth -= kind == "close"
        is_word = kind == "word"
        yield Token(match.group().upper() if is_word else match.group(), match.end(), depth, is_word)
        depth += kind == "open"


def parse(text: bytes) -> Statement:
    """Read a statement; `text` may hold binary data behind an INSERT. Raises `QueryRefused` for what only a shell can do."""
    found = tokens(text.decode("latin-1"))  # byte for byte, so that places in the text are places in the bytes
    first = next(found, None)
    if first is None:
        raise refused(Code.SYNTAX_ERROR, "Empty query")
    if first.text == "INSERT":
        return _parse_insert(text, found)
    return _parse_other(text, first, found)


def called(text: bytes) -> Iterator[str]:
    """The names that stand before an opening bracket, in lower case; one with an escape in it comes as a backslash."""
    before = ""
    for token in tokens(text.decode("latin-1")):
        if token.text == "(" and before:
            yield before
        before = token.text.lower() if token.is_word else _unquoted(token.text).lower()


def _unquoted(token: str) -> str:
    quote = next((quote for quote in _NAME_QUOTES if token.startswith(quote) and len(token) > len(quote)), "")
    return ("\\" if "\\" in token else token[len(quote) : -len(quote)]) if quote else ""


def _parse_insert(text: bytes, found: Iterator[Token]) -> Statement:
    before = _skip_target(found)
    settings_at = 0
    for token in found:
        if token.text == ";" and next(found, None) is not None:
            raise refused(Code.SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed)")
        if token.depth == 0 and token.is_word and before.text != ".":
            if token.text in ("SELECT", "WITH"):
                return _parse_insert_select(text, found)
            if token.text == "VALUES":
                head = text[: before.end]
                return Statement(Kind.INSERT_DATA, head, settings_at or len(head), "Values", data_start=token.end)
            if token.text == "FORMAT":
                return _with_format(text[: before.end], settings_at, text, next(found, None))
            if token.text == "SETTINGS":
                settings_at = settings_at or token.end - len(token.text)
            if token.text == "INFILE":
                raise _infile()
        before = token
    return Statement(Kind.INSERT_SELECT, text)


def _skip_target(found: Iterator[Token]) -> Token:
    """Step over INTO, TABLE, FUNCTION and the name, which may be any word."""
    token = Token("", 0, 0, False)
    for token in found:
        if token.text not in ("INTO", "TABLE", "FUNCTION"):
            return token
    return token


def _with_format(head: bytes, settings_at: int, text: bytes, name: Token | None) -> Statement:
    if name is None or not name.is_word:
        raise refused(Code.SYNTAX_ERROR, "Syntax error: expected the name of a format after FORMAT")
    start = _DATA_START.match(text, name.end)
    data_start = start.end() if start else name.end
    spelled = text[name.end - len(name.text) : name.end].decode("latin-1")
    return Statement(Kind.INSERT_DATA, head, settings_at or len(head), spelled, data_start=data_start)


def _parse_insert_select(text: bytes, found: Iterator[Token]) -> Statement:
    before = ""
    for token in found:
        if token.text == "(" and before == "INPUT":
            raise refused(Code.NOT_IMPLEMENTED, "INSERT ... SELECT FROM input() is not supported by this gateway")
        before = token.text
    return Statement(Kind.INSERT_SELECT, text)


def _parse_other(text: bytes, first: Token, found: Iterator[Token]) -> Statement:
    output_format = ""
    inserts = False  # WITH may stand before an INSERT
    previous = Token("", 0, 0, False)
    for token in found:
        inserts = inserts or (token.text == "INSERT" and token.is_word)
        if inserts and token.text == "INFILE" and previous.text == "FROM":
            raise _infile()
        if token.depth == 0 and token.is_word:
            if token.text == "OUTFILE" and previous.text == "INTO":
                raise refused(Code.INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed")
            if previous.text == "FORMAT" and previous.is_word:
                output_format = text[token.end - len(token.text) : token.end].decode("latin-1")
        previous = token
    kinds = {"SELECT": Kind.SELECT, "WITH": Kind.SELECT, "(": Kind.SELECT, "SET": Kind.SET, "USE": Kind.USE}
    return Statement(kinds.get(first.text, Kind.OTHER), text, output_format=output_format)


def _infile() -> QueryRefused:
    return refused(Code.NOT_IMPLEMENTED, "FROM INFILE is read by clients, and not by a server")
