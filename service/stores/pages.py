"""What a backup that lost its data needs from the primary store, in pages: keys, words of subscribers, living verifications
with all their facts, and Idempotency-Keys. Each page is one short query by primary key.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, or_, select, true

from service.facts import (
    OWN_APP,
    AnyFact,
    ApiKey,
    ApiKeyRevocation,
    Fact,
    IdempotencyAnswer,
    IdempotencyClaim,
    OptOut,
    Request,
)
from service.stores import Bookmark, Page, schema
from service.stores.derive import facts_of
from service.stores.old_facts import first_id_at
from service.stores.reader import states_of

LIFETIME_MAX = timedelta(hours=1)
STAGES: Sequence[type[Fact]] = (ApiKey, ApiKeyRevocation, OptOut, Request, IdempotencyClaim, IdempotencyAnswer)


def page(connection: Connection, bookmark: Bookmark, *, now: datetime, claims_since: datetime, most: int) -> Page:
    """At most `most` rows of the kind at the bookmark, and where to go on; a verification brings all its facts along."""
    kind = STAGES[bookmark.stage]
    columns = list(schema.TABLES[kind].primary_key.columns)
    where = and_(_wanted(kind, now, claims_since), _after(columns, bookmark.key))
    query = select(schema.TABLES[kind]).where(where).order_by(*columns).limit(most)
    rows: list[AnyFact] = [kind(**row._mapping) for row in connection.execute(query)]  # type: ignore[misc]
    facts = rows
    if kind is Request:
        ids = {row.id for row in rows if isinstance(row, Request)}
        facts = [fact for state in states_of(connection, ids).values() for fact in facts_of(state)]
    if len(rows) == most:
        return Page(facts=facts, following=msgspec.structs.replace(bookmark, key=rows[-1].key))
    following = Bookmark(stage=bookmark.stage + 1) if bookmark.stage + 1 < len(STAGES) else None
    return Page(facts=facts, following=following)


def _wanted(kind: type[Fact], now: datetime, claims_since: datetime) -> ColumnElement[bool]:
    table = schema.TABLES[kind]
    if kind is Request:
        return and_(table.c.id >= first_id_at(now - LIFETIME_MAX), table.c.expires_at > now)
    if kind in (IdempotencyClaim, IdempotencyAnswer):
        return and_(table.c.at >= claims_since, table.c.app != OWN_APP)
    return true()


def _after(columns: Sequence[ColumnElement[Any]], key: tuple[object, ...]) -> ColumnElement[bool]:
    """Rows behind `key`. Written out: for a comparison of rows MySQL reads the whole index."""
    if not key:
        return true()
    first, value = columns[0], key[0]
    if len(columns) == 1:
        return first > value
    return and_(first >= value, or_(first > value, _after(columns[1:], key[1:])))
