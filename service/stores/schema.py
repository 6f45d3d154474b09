"""The tables of the primary store: one for each kind of fact, with the fact's natural key, on SQLite, MySQL and MariaDB alike.

Rows are inserted and read, never updated. Times are aware and UTC on both sides; keys compare byte by byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

import msgspec
from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import BINARY, TypeDecorator, TypeEngine

from service.facts import (
    AnyFact,
    ApiKey,
    ApiKeyRevocation,
    Approval,
    Attempt,
    AttemptOutcome,
    Check,
    DeliveryReceipt,
    EncryptedNumber,
    Fact,
    IdempotencyAnswer,
    IdempotencyClaim,
    InboundMessage,
    OptOut,
    Request,
)

VERSION = 2


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept to the microsecond in UTC. A naive time is refused: nobody could say which one it is."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        # MySQL rounds to the second unless told otherwise
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name in ("mysql", "mariadb") else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Uuid16(TypeDecorator[UUID]):
    """A UUID in 16 bytes: half the index of its text, and UUIDv7 still sort by time."""

    impl = BINARY(16)
    cache_ok = True

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.bytes

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> UUID | None:
        return None if value is None else UUID(bytes=value)


_LENGTHS = {  # of text, in characters; 64 for what is not named here
    "locale": 35,
    "country": 8,
    "stage": 128,
    "provider_reference": 128,
    "idempotency_key": 255,
    "fingerprint": 128,
    "key_hash": 128,
    "label": 255,
    "scopes": 255,
}
_WIDE = {"latency_ms"}  # everything else that counts fits 16 bits

metadata = MetaData()

TABLE_NAMES: Mapping[type[Fact], str] = {
    Request: "requests",
    Attempt: "attempts",
    AttemptOutcome: "outcomes",
    DeliveryReceipt: "receipts",
    Check: "checks",
    Approval: "approvals",
    InboundMessage: "inbound",
    OptOut: "opt_outs",
    EncryptedNumber: "encrypted_numbers",
    IdempotencyClaim: "idempotency_claims",
    IdempotencyAnswer: "idempotency_answers",
    ApiKey: "api_keys",
    ApiKeyRevocation: "api_key_revocations",
}
"""In the order in which a transaction writes them: everyone takes locks in the same order, so fewer deadlocks."""


def _table(name: str, kind: type[Fact]) -> Table:
    columns: list[Column[Any]] = []
    limits: list[CheckConstraint] = []
    for field in msgspec.structs.fields(kind):
        column, limit = _column(field.name, field.type, is_key=field.name in kind.key_fields)
        columns.append(column)
        if limit:
            # SQLite takes a text of any length; MySQL refuses by itself, in its strict mode
            limits.append(CheckConstraint(f'length("{field.name}") <= {limit}').ddl_if(dialect="sqlite"))
    return Table(
        name,
        metadata,
        *sorted(columns, key=lambda column: kind.key_fields.index(column.name) if column.primary_key else 99),
        *limits,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        sqlite_with_rowid=kind in (IdempotencyAnswer, EncryptedNumber),  # else the key is the table, as in InnoDB
    )


def _column(name: str, hint: object, *, is_key: bool) -> tuple[Column[Any], int]:
    """The column of one field, and the greatest length of its value (0: not text)."""
    kinds = {part for part in (get_args(hint) or (hint,)) if isinstance(part, type)}
    limit = 0
    sql_type: TypeEngine[Any]
    if UUID in kinds:
        sql_type = Uuid16()
    elif datetime in kinds:
        sql_type = UtcDateTime()
    elif int in kinds:
        sql_type = (
            Integer()
            if name in _WIDE
            else SmallInteger().with_variant(mysql.SMALLINT(unsigned=True), "mysql", "mariadb")
        )
    elif bytes in kinds:
        sql_type = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")
    else:  # text, or one of a few words
        limit = _LENGTHS.get(name, 64)
        sql_type = String(limit)
    nullable = type(None) in kinds
    return Column(name, sql_type, primary_key=is_key, nullable=nullable, autoincrement=False), limit


TABLES: Mapping[type[Fact], Table] = {kind: _table(name, kind) for kind, name in TABLE_NAMES.items()}

requests = TABLES[Request]
attempts = TABLES[Attempt]
checks = TABLES[Check]
approvals = TABLES[Approval]
opt_outs = TABLES[OptOut]
claims = TABLES[IdempotencyClaim]
answers = TABLES[IdempotencyAnswer]
api_keys = TABLES[ApiKey]
revocations = TABLES[ApiKeyRevocation]

Index("requests_living", requests.c.phone_hash, requests.c.purpose, requests.c.expires_at)
Index("attempts_sends", attempts.c.phone_hash, attempts.c.at)
for _dated in (claims, answers, TABLES[InboundMessage]):  # what has no time in its key is found by it when it is old
    Index(f"{_dated.name}_at", _dated.c.at)

schema_versions = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime(), nullable=False),
    mysql_engine="InnoDB",
)
probes = Table(
    "probes",
    metadata,
    Column("instance", Uuid16(), primary_key=True),
    Column("at", UtcDateTime(), nullable=False),
    mysql_engine="InnoDB",
)


def row_of(fact: AnyFact) -> dict[str, Any]:
    """The fact as the parameters of its INSERT."""
    return {name: getattr(fact, name) for name in fact.__struct_fields__}
