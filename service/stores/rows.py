"""Facts as rows and back, in statements that are put together once a table.

An INSERT or SELECT of SQLAlchemy's own costs several times what the driver and the server take for it: it handles every
value of every row by its type, where here two kinds of value need a hand. Values still go in as parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar, get_args
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Dialect

from service.facts import AnyFact, Fact
from service.stores import schema

Kind = TypeVar("Kind", bound=Fact)
_Converters = tuple[tuple[int, Callable[[Any], Any]], ...]


class _Layout(NamedTuple):
    """One table: its INSERT without the rows, one row of it, its SELECT without the condition, and the columns by place
    that are kept as something else."""

    names: tuple[str, ...]
    insert: str
    row: str
    select: str
    written: _Converters
    read: _Converters


def insert(connection: Connection, facts: Sequence[AnyFact]) -> None:
    """One statement for `facts`, all of one kind. Raises `ValueError` for a time without a zone."""
    layout = _layout(type(facts[0]), connection.dialect)
    values_of = attrgetter(*layout.names)
    parameters: list[Any] = []
    for fact in facts:
        values = list(values_of(fact))
        for place, convert in layout.written:
            values[place] = convert(values[place])
        parameters += values
    connection.exec_driver_sql(f"{layout.insert} {', '.join([layout.row] * len(facts))}", tuple(parameters))


def select(connection: Connection, kind: type[Kind], column: str, values: Collection[object]) -> list[Kind]:
    """The facts of one kind whose `column` is one of `values`."""
    if not values:
        return []
    layout = _layout(kind, connection.dialect)
    where = f"{_quoted(connection.dialect, column)} IN {_row(connection.dialect, len(values))}"
    found = connection.exec_driver_sql(f"{layout.select} WHERE {where}", tuple(map(parameter, values)))
    facts: list[Kind] = []
    for row in found:
        fields = list(row)
        for place, convert in layout.read:
            fields[place] = convert(fields[place])
        facts.append(kind(**dict(zip(layout.names, fields, strict=True))))
    return facts


def parameter(value: object) -> object:
    """A value as drivers of both kinds take it."""
    convert = _WRITTEN.get(type(value))
    return convert(value) if convert else value


def _uuid_to(value: UUID | None) -> bytes | None:
    return None if value is None else value.bytes


def _uuid_from(value: bytes | None) -> UUID | None:
    return None if value is None else UUID(bytes=value)


def _time_to(value: datetime | None) -> str | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a time without a zone")
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.replace(tzinfo=None).isoformat(" ", "microseconds")


def _time_from(value: datetime | str | None) -> datetime | None:
    if value is None:
        return None
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).replace(tzinfo=UTC)


_WRITTEN: dict[type, Callable[[Any], Any]] = {UUID: _uuid_to, datetime: _time_to}
_READ: dict[type, Callable[[Any], Any]] = {UUID: _uuid_from, datetime: _time_from}


@cache
def _layout(kind: type[Fact], dialect: Dialect) -> _Layout:
    fields = msgspec.structs.fields(kind)
    names = tuple(field.name for field in fields)
    table = schema.TABLE_NAMES[kind]
    columns = ", ".join(_quoted(dialect, name) for name in names)
    return _Layout(
        names=names,
        insert=f"INSERT INTO {table} ({columns}) VALUES",
        row=_row(dialect, len(names)),
        select=f"SELECT {columns} FROM {table}",
        written=_converters(fields, _WRITTEN),
        read=_converters(fields, _READ),
    )


def _converters(fields: Sequence[msgspec.structs.FieldInfo], by_type: dict[type, Callable[[Any], Any]]) -> _Converters:
    kinds = [get_args(field.type) or (field.type,) for field in fields]
    return tuple(
        (place, by_type[part]) for place, parts in enumerate(kinds) for part in parts if part in (UUID, datetime)
    )


def _row(dialect: Dialect, length: int) -> str:
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    return f"({', '.join([mark] * length)})"


def _quoted(dialect: Dialect, name: str) -> str:
    return dialect.identifier_preparer.quote(name)
