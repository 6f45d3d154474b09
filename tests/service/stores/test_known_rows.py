"""Rows that are there before cost a few round trips, however many: a replay goes through on a slow line too."""

from __future__ import annotations

import sqlalchemy

from service.stores.sql import SqlStore
from tests.service.stores import facts


async def test_five_hundred_facts_of_which_most_are_known_take_few_statements(sql_store: SqlStore):
    requests = [facts.request() for _ in range(500)]
    await sql_store.write([*requests[:200], *requests[300:]])
    engine = sql_store._databases[0]._engine
    statements: list[str] = []
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    told = await sql_store.write(requests)
    again = await sql_store.write(requests)

    assert told == [False] * 200 + [True] * 100 + [False] * 200
    assert not any(again)
    assert len(statements) < 40


async def test_what_is_known_is_told_by_its_whole_key(sql_store: SqlStore):
    request = facts.request()
    await sql_store.write([request, facts.attempt(request, 1), facts.receipt(request, 1)])
    told = await sql_store.write(
        [
            facts.attempt(request, 2),
            facts.attempt(request, 1),
            facts.receipt(request, 1),
            facts.receipt(request, 1, stage="interim:SENT"),
            facts.receipt(request, 2),
        ]
    )

    assert told == [True, False, False, True, True]
