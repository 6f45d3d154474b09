"""Of two facts with one key the earlier stays. Live calls see to that themselves; journals of instances that could ask no
store come in any order, and each may hold another receipt as the first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, select, tuple_, update

from service.facts import AnyFact, Fact
from service.stores import schema


def keep_first(connection: Connection, facts: Sequence[AnyFact]) -> None:
    """Put each fact in the place of the row with its key where that is later; whoever else does so changes nothing."""
    by_kind: dict[type[Fact], list[AnyFact]] = defaultdict(list)
    for fact in facts:
        by_kind[type(fact)].append(fact)
    for kind, rows in by_kind.items():
        table = schema.TABLES[kind]
        columns = list(table.primary_key.columns)
        held = select(*columns, table.c.at).where(tuple_(*columns).in_([fact.key for fact in rows]))
        times = {tuple(row[:-1]): row[-1] for row in connection.execute(held)}
        for fact in rows:
            if (at := times.get(fact.key)) is not None and fact.at < at:
                is_it = tuple_(*columns).in_([fact.key])
                connection.execute(update(table).where(is_it, table.c.at > fact.at).values(schema.row_of(fact)))
