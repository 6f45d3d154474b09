"""The Messages page asks one question: the story of a request, the requests of a number, or the messages in the window; those
again where the last part of the window has too few to fill the list."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pandas as pd

from app.data.basics import FilterKey
from app.timeframe import Window
from core.warehouse import Warehouse
from metrics.trace import MessagesQuestion, messages, requests_of, story

LISTED_MAX, OF_NUMBER_MAX = 200, 1_000
OF_NUMBER_DAYS = 30


def of_request(warehouse: Warehouse, request_id: UUID) -> pd.DataFrame:
    """Everything told of it: `metrics.trace.STORY_COLUMNS`."""
    return story(warehouse, request_id)


def of_number(warehouse: Warehouse, phone_hash: str, *, now: datetime) -> pd.DataFrame:
    """The attempts to a number in the last thirty days: `metrics.trace.MESSAGE_COLUMNS`."""
    return requests_of(
        warehouse,
        phone_hash,
        start=now - timedelta(days=OF_NUMBER_DAYS),
        end=now + timedelta(minutes=1),
        most=OF_NUMBER_MAX,
    )


def within(warehouse: Warehouse, window: Window, filters: FilterKey, *, troubled: bool) -> pd.DataFrame:
    """The newest messages of the window: `metrics.trace.MESSAGE_COLUMNS`."""
    question = MessagesQuestion(
        start=window.start, end=window.end, filters=dict(filters), troubled=troubled, most=LISTED_MAX
    )
    return messages(warehouse, question)
