"""A check keeps the number under which somebody was told of it: the warehouse knows it by that."""

from __future__ import annotations

from sqlalchemy import Connection, update
from sqlalchemy.exc import DBAPIError

from service.facts import Check
from service.stores import schema
from service.stores.database import is_duplicate


def renumber(connection: Connection, check: Check, number: int) -> None:
    """Give a check that is kept another number, and the approval that it made; nothing when that number is taken."""
    checks, approvals = schema.checks.c, schema.approvals.c
    is_it = (checks.request_id == check.request_id, checks.check == check.check, checks.at == check.at)
    is_its = (approvals.request_id == check.request_id, approvals.check == check.check, approvals.at == check.at)
    try:
        connection.execute(update(schema.checks).where(*is_it).values(check=number))
    except DBAPIError as error:
        if not is_duplicate(error):
            raise
    else:
        connection.execute(update(schema.approvals).where(*is_its).values(check=number))
