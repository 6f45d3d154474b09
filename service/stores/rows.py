"""Facts as rows and back, in statements that are put together once a table.

An INSERT or SELECT of SQLAlchemy's own costs several times what the driver and the server take for it: it handles every
value of every row by its type, where here two kinds of value need a hand. Values still go in as parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar, get_args
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Dialect

from service.facts import AnyFact, Fact, Request
from service.stores import schema

Kind = TypeVar("Kind", bound=Fact)
_Converters = tuple[tuple[int, Callable[[Any], Any]], ...]


class _Layout(NamedTuple):
    """One table: its columns, its INSERT without the rows, one row of it, and the columns by place that are kept as
    something else."""

    names: tuple[str, ...]
    columns: str
    insert: str
    row: str
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
    layout, table = _layout(kind, connection.dialect), schema.TABLE_NAMES[kind]
    where = f"{_quoted(connection.dialect, column)} IN {_row(connection.dialect, len(values))}"
    statement = f"SELECT {layout.columns} FROM {table} WHERE {where}"
    found = connection.exec_driver_sql(statement, tuple(map(parameter, values)))
    return [_fact(kind, layout, row) for row in found]


def select_with(
    connection: Connection, beside: Sequence[type[AnyFact]], request_ids: Collection[UUID]
) -> list[tuple[Request, list[AnyFact]]]:
    """Requests with their facts of the kinds `beside`, in one question: a row for every combination of these."""
    if not request_ids:
        return []
    dialect = connection.dialect
    own, others = _layout(Request, dialect), [(kind, _layout(kind, dialect)) for kind in beside]
    tables = [schema.TABLE_NAMES[kind] for kind in beside]
    columns = ", ".join([own.columns, *(layout.columns for _, layout in others)])
    joins = " ".join(f"LEFT JOIN {table} ON {table}.request_id = requests.id" for table in tables)
    where = f"requests.id IN {_row(dialect, len(request_ids))}"
    statement = f"SELECT {columns} FROM requests {joins} WHERE {where}"
    found = connection.exec_driver_sql(statement, tuple(map(parameter, request_ids)))
    return [(_fact(Request, own, row[: len(own.names)]), _beside(others, row[len(own.names) :])) for row in found]


def ask(connection: Connection, question: str, **values: object) -> Sequence[Sequence[Any]]:
    """The rows of a question that has a file beside this one. A value fills its `:name` there, several values an IN;
    ids and times come as they are kept."""
    dialect = connection.dialect
    first, *others = _pieces(question)
    statement = [first]
    parameters: list[object] = []
    for name, text in zip(others[::2], others[1::2], strict=True):
        value = values[name]
        several = list(value) if isinstance(value, (list, set)) else None
        statement += [_row(dialect, len(several)) if several else _mark(dialect), text]
        parameters += map(parameter, several or [value])
    words = "".join(statement)
    if dialect.name == "sqlite":
        words = words.removesuffix("FOR UPDATE")  # a transaction that writes has the whole file
    return connection.exec_driver_sql(words, tuple(parameters)).all()


@cache
def _pieces(question: str) -> list[str]:
    """The text of a question around its names: text, name, text, name, text."""
    lines = resources.files("service.stores").joinpath(f"{question}.sql").read_text(encoding="utf-8").splitlines()
    return re.split(r":(\w+)", "\n".join(line for line in lines if not line.startswith("--")).strip())


def _beside(kinds: Sequence[tuple[type[AnyFact], _Layout]], row: Sequence[Any]) -> list[AnyFact]:
    facts: list[AnyFact] = []
    begin = 0
    for kind, layout in kinds:
        end = begin + len(layout.names)
        if row[begin] is not None:  # the id of its request: there is such a fact
            facts.append(_fact(kind, layout, row[begin:end]))
        begin = end
    return facts


def _fact(kind: type[Kind], layout: _Layout, row: Sequence[Any]) -> Kind:
    fields = list(row)
    for place, convert in layout.read:
        fields[place] = convert(fields[place])
    return kind(**dict(zip(layout.names, fields, strict=True)))


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


def utc(value: datetime | str) -> datetime:
    """A time as it was before it was kept."""
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).replace(tzinfo=UTC)


def _time_from(value: datetime | str | None) -> datetime | None:
    return None if value is None else utc(value)


_WRITTEN: dict[type, Callable[[Any], Any]] = {UUID: _uuid_to, datetime: _time_to}
_READ: dict[type, Callable[[Any], Any]] = {UUID: _uuid_from, datetime: _time_from}


@cache
def _layout(kind: type[Fact], dialect: Dialect) -> _Layout:
    fields = msgspec.structs.fields(kind)
    names = tuple(field.name for field in fields)
    table = schema.TABLE_NAMES[kind]
    quoted = [_quoted(dialect, name) for name in names]
    return _Layout(
        names=names,
        columns=", ".join(f"{table}.{name}" for name in quoted),
        insert=f"INSERT INTO {table} ({', '.join(quoted)}) VALUES",
        row=_row(dialect, len(names)),
        written=_converters(fields, _WRITTEN),
        read=_converters(fields, _READ),
    )


def _converters(fields: Sequence[msgspec.structs.FieldInfo], by_type: dict[type, Callable[[Any], Any]]) -> _Converters:
    kinds = [get_args(field.type) or (field.type,) for field in fields]
    return tuple(
        (place, by_type[part]) for place, parts in enumerate(kinds) for part in parts if part in (UUID, datetime)
    )


def _row(dialect: Dialect, length: int) -> str:
    return f"({', '.join([_mark(dialect)] * length)})"


def _mark(dialect: Dialect) -> str:
    return "?" if dialect.paramstyle == "qmark" else "%s"


def _quoted(dialect: Dialect, name: str) -> str:
    return dialect.identifier_preparer.quote(name)
