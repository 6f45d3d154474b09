"""Proves quickly that lines are events, so that their bytes go to ClickHouse as they came.

Reading every line as `core.events` does costs more than inserting it: eight patterns, a UUID and a digest each. Here a
line is read without patterns, names are proved once for all lines that repeat them, and what cannot be proved so is left
to `core.events`, whose word decides.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import reduce
from operator import attrgetter, or_
from typing import Any, get_type_hints
from uuid import UUID

import msgspec

from core.errors import EventUnreadable
from core.events import UNREADABLE, BadLine, Event, Hash, Name, Receipt, Send, Verify, decode, encode_lines
from core.ids import event_id

_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch
_HASH = re.compile(r"(?:[0-9a-f]{32})?").fullmatch
_PROVEN_MAX = 100_000
"""Names kept as proved; a sender that makes up a name for each message must not fill the memory."""


Sifted = defaultdict[str, list[bytes]]
"""Events by kind, as lines in their order."""


class Sieve:
    """Remembers the names it proved. One for each thread."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_ANY_PLAIN).decode
        self._names: set[str] = set()

    def sift(self, body: bytes, into: Sifted) -> list[BadLine]:
        """Add the events of `body` to those of their kind, and return what is none; no line costs its neighbours."""
        bad = []
        for index, line in enumerate(body.splitlines()):
            if not line.strip():
                continue
            kind = self._proved(line)
            if not kind:
                try:
                    event = decode(line)
                except EventUnreadable as error:
                    bad.append(BadLine(index, str(error), line))
                    continue
                kind, line = event.kind, encode_lines([event]).rstrip()
            into[kind].append(line)
        return bad

    def _proved(self, line: bytes) -> str:
        """The kind of event the line is, '' where that is not plain."""
        try:
            plain = self._decode(line)
        except UNREADABLE:
            return ""
        shape = _SHAPES[type(plain)]
        names = shape.names(plain)
        if not self._names.issuperset(names) and not self._prove(names):
            return ""
        if not _UUID7(plain.request_id) or not all(_HASH(get(plain)) for get in shape.hashes):
            return ""
        return shape.kind if plain.event_id == event_id(shape.kind, *shape.key(plain)) else ""

    def _prove(self, names: Sequence[str]) -> bool:
        try:
            msgspec.convert(names, tuple[Name, ...])
        except msgspec.ValidationError:
            return False
        if len(self._names) > _PROVEN_MAX:
            self._names.clear()
        self._names.update(names)
        return True


class _Shape:
    """A kind of event without its patterns, and which of its fields need a look of their own."""

    def __init__(self, kind: type[Event]) -> None:
        hints = {
            name: hint
            for name, hint in get_type_hints(kind, include_extras=True).items()
            if name not in ("kind", "table")
        }
        defaults = {info.name: info.default for info in msgspec.structs.fields(kind)}
        fields: list[tuple[str, Any, Any]] = [(name, _plain(hint), defaults[name]) for name, hint in hints.items()]
        self.kind = kind.kind
        self.key: Any = kind.key
        self.plain = msgspec.defstruct(
            f"Plain{kind.__name__}",
            [(name, hint) if default is msgspec.NODEFAULT else (name, hint, default) for name, hint, default in fields],
            tag_field="kind",
            tag=kind.kind,
            kw_only=True,
            frozen=True,
        )
        self.names = attrgetter(*(name for name, hint in hints.items() if hint == Name))
        self.hashes = [attrgetter(name) for name, hint in hints.items() if hint == Hash and name != "event_id"]


def _plain(hint: object) -> object:
    return str if hint in (Name, Hash, UUID) else hint


_SHAPES = {shape.plain: shape for shape in (_Shape(Send), _Shape(Receipt), _Shape(Verify))}
"""The kinds there are many of; the others are few, and left to the schema."""
_ANY_PLAIN: Any = reduce(or_, _SHAPES)
