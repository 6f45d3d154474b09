"""What the writing lane does: everything that has gathered, in one transaction; new or not is known for every fact.

Plain INSERTs, all rows of a table in one statement, and only where a key is taken row by row. `INSERT IGNORE` would
hide values that do not fit, and with `ON DUPLICATE KEY UPDATE` the driver's row count is 1 whether the row is new or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Table, select, tuple_
from sqlalchemy.exc import DBAPIError

from service.facts import AnyFact, Check, Fact, IdempotencyAnswer, IdempotencyClaim
from service.stores import CheckOrder, CheckVerdict, Claim, rows, schema
from service.stores.database import Contended, Database, is_duplicate
from service.stores.derive import facts_of_verdict, next_verdict, verdict_before
from service.stores.faults import FactRefused, StoreFault


class WriteFacts(msgspec.Struct, frozen=True):
    """One caller's facts: all of them, or none."""

    facts: tuple[AnyFact, ...]


Order = WriteFacts | CheckOrder | IdempotencyClaim
Done = list[bool] | CheckVerdict | Claim
Kind = TypeVar("Kind", bound=Fact)
_Key = tuple[type[Fact], tuple[object, ...]]
_STATEMENT_ROWS_MAX = 200
"""Rows of one INSERT: the driver splits what is longer than a megabyte, and a failed half would not be undone."""


class Writer:
    """The work function of the writing lane."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, orders: Sequence[Order]) -> list[Done | BaseException]:
        """An answer for each order. When a value cannot be stored, halving finds whose it is; the others are written."""
        try:
            return list(self._database.run(lambda connection: _write(connection, orders), writes=True))
        except FactRefused as refused:
            if len(orders) == 1:
                return [refused]
            middle = len(orders) // 2
            return self(orders[:middle]) + self(orders[middle:])
        except StoreFault as fault:
            return [fault.again() for _ in orders]


def _write(connection: Connection, orders: Sequence[Order]) -> list[Done]:
    facts = [fact for order in orders for fact in _facts_of(order)]
    fresh = _insert(connection, facts)
    verdicts = iter(_check(connection, [order for order in orders if isinstance(order, CheckOrder)]))
    claims = iter(_claims(connection, [order for order in orders if isinstance(order, IdempotencyClaim)], fresh))
    answers: list[Done] = []
    for order in orders:
        if isinstance(order, WriteFacts):
            answers.append([_take(fresh, fact) for fact in order.facts])
        else:
            answers.append(next(verdicts) if isinstance(order, CheckOrder) else next(claims))
    return answers


def _facts_of(order: Order) -> Sequence[AnyFact]:
    if isinstance(order, WriteFacts):
        return order.facts
    return [order] if isinstance(order, IdempotencyClaim) else []


def _take(fresh: set[_Key], fact: AnyFact) -> bool:
    """Whether the fact is new; told to the first who asks, for two callers may have brought the same one."""
    key = (type(fact), fact.key)
    if key not in fresh:
        return False
    fresh.remove(key)
    return True


def _insert(connection: Connection, facts: Iterable[AnyFact]) -> set[_Key]:
    """Insert what is not there, and return the keys of what was not."""
    by_kind: dict[type[Fact], dict[tuple[object, ...], AnyFact]] = {}
    for fact in facts:
        by_kind.setdefault(type(fact), {}).setdefault(fact.key, fact)
    fresh: set[_Key] = set()
    for kind, table in schema.TABLES.items():
        if kind in by_kind:
            ordered = sorted(
                by_kind[kind].values(), key=attrgetter("key")
            )  # the same order everywhere: fewer deadlocks
            fresh.update((kind, fact.key) for fact in _insert_rows(connection, table, ordered))
    return fresh


def _insert_rows(connection: Connection, table: Table, facts: Sequence[AnyFact]) -> list[AnyFact]:
    return [
        fact
        for start in range(0, len(facts), _STATEMENT_ROWS_MAX)
        for fact in _insert_some(connection, table, facts[start : start + _STATEMENT_ROWS_MAX])
    ]


def _insert_some(connection: Connection, table: Table, facts: Sequence[AnyFact]) -> Sequence[AnyFact]:
    """All at once; then, where a key was taken, all whose key is not: row by row, a replay of 500 rows that were there
    before took 500 round trips, longer than a caller waits, and never got further.
    """
    if len(facts) > 1 and _insert_many(connection, facts):
        return facts
    fresh = _missing(connection, table, facts) if len(facts) > 1 else facts
    if len(fresh) > 1 and _insert_many(connection, fresh):
        return fresh
    return [fact for fact in fresh if _insert_row(connection, fact)]  # or another instance came between


def _insert_many(connection: Connection, facts: Sequence[AnyFact]) -> bool:
    """False when a key is taken; then nothing was inserted."""
    # MySQL undoes a failed statement by itself, which saves a round trip a table; SQLite runs one for each row.
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        connection.exec_driver_sql("SAVEPOINT rows_of_one_table")
    try:
        rows.insert(connection, facts)
    except DBAPIError as error:
        if not is_duplicate(error):
            raise
        if is_sqlite:
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT rows_of_one_table")
        return False
    return True


def _missing(connection: Connection, table: Table, facts: Sequence[AnyFact]) -> list[AnyFact]:
    columns = list(table.primary_key.columns)
    query = select(*columns).where(tuple_(*columns).in_([fact.key for fact in facts]))
    there = {tuple(row) for row in connection.execute(query)}
    return [fact for fact in facts if fact.key not in there]


def _insert_row(connection: Connection, fact: AnyFact) -> bool:
    try:
        rows.insert(connection, [fact])
    except DBAPIError as error:
        if not is_duplicate(error):
            raise
        return False
    return True


def _check(connection: Connection, orders: Sequence[CheckOrder]) -> list[CheckVerdict]:
    """Count all `orders` in their order. The row of the request is the lock between instances."""
    if not orders:
        return []
    checked, approved = _checked(connection, sorted({order.request_id for order in orders}))
    counted = _counted(connection, {order.request_id for order in orders if order.again})
    verdicts: list[CheckVerdict] = []
    facts: list[AnyFact] = []
    for order in orders:
        numbers = checked[order.request_id]
        if order.again and (check := counted.get((order.request_id, order.at, order.attempt))):
            verdicts.append(verdict_before(order, check, counted=len(numbers)))
            continue
        verdict = next_verdict(
            order, counted=len(numbers), last=max(numbers, default=0), approved=order.request_id in approved
        )
        verdicts.append(verdict)
        facts += facts_of_verdict(order, verdict)
        if verdict.check:
            numbers.append(verdict.check)
        if verdict.result == "approved":
            approved.add(order.request_id)
    if len(_insert(connection, facts)) != len(facts):
        raise Contended("another instance counted a check at the same moment")
    return verdicts


def _checked(connection: Connection, ids: list[UUID]) -> tuple[dict[UUID, list[int]], set[UUID]]:
    """The numbers of the checks that were counted, by request, and who is approved: read under the lock, in one question.

    Facts come in any order: checks of a request that is not here yet count too.
    """
    checked: dict[UUID, list[int]] = defaultdict(list)
    approved: set[UUID] = set()
    absent = set(ids)
    for kept_id, check, approval in rows.ask(connection, "checked", ids=ids):
        request_id = UUID(bytes=kept_id)
        absent.discard(request_id)
        if check is not None:
            checked[request_id].append(check)
        if approval is not None:
            approved.add(request_id)
    if absent:
        checks, approvals = schema.checks.c, schema.approvals.c
        for request_id, check in connection.execute(
            select(checks.request_id, checks.check).where(checks.request_id.in_(absent))
        ):
            checked[request_id].append(check)
        approved.update(connection.scalars(select(approvals.request_id).where(approvals.request_id.in_(absent))))
    return checked, approved


def _counted(connection: Connection, ids: set[UUID]) -> dict[tuple[UUID, datetime, int], Check]:
    """The checks that are kept of these requests, by what tells one call from another."""
    return {(row.request_id, row.at, row.attempt): row for row in rows.select(connection, Check, "request_id", ids)}


def _claims(connection: Connection, claims: Sequence[IdempotencyClaim], fresh: set[_Key]) -> list[Claim]:
    """Who holds the keys, now that all `claims` were inserted where nobody had."""
    holders: dict[tuple[object, ...], IdempotencyClaim] = {}
    for claim in claims:
        if (IdempotencyClaim, claim.key) in fresh:
            holders.setdefault(claim.key, claim)  # the first of a batch is the one that was inserted
    taken = sorted({claim.key for claim in claims if claim.key not in holders}, key=str)
    holders |= {row.key: row for row in _select(connection, IdempotencyClaim, taken)}
    answers = {row.key: row for row in _select(connection, IdempotencyAnswer, taken)}
    return [
        Claim(
            ours=holders[claim.key].request_id == claim.request_id,
            holder=holders[claim.key],
            answer=answers.get(claim.key),
        )
        for claim in claims
    ]


def _select(connection: Connection, kind: type[Kind], keys: Sequence[tuple[object, ...]]) -> list[Kind]:
    if not keys:
        return []
    table = schema.TABLES[kind]
    columns = [table.c[name] for name in kind.key_fields]
    query = select(table).where(tuple_(*columns).in_(keys))
    return [kind(**row._mapping) for row in connection.execute(query)]
