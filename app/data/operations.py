"""The Operations page asks ten questions of the warehouse, and how much waits of the queue."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from app.data.beside import beside
from app.data.journals import JournalsData, newest_and_course
from app.data.uptime import Uptime, uptime
from app.timeframe import Window, auto_bucket
from core.errors import QueueUnavailable
from core.queue import ENCRYPTOR_CONSUMER, EVENTS, INGEST_CONSUMER, NUMBERS, StreamState
from core.queue.jetstream import JetStreamQueue
from core.settings.servers import Queue as QueueSettings
from core.warehouse import Warehouse
from metrics.freshness import Runs, arrivals, dead_letters, runs
from metrics.operations import availability, backlogs, status_history

MONTH = timedelta(days=30)
STREAMS = {EVENTS: INGEST_CONSUMER, NUMBERS: ENCRYPTOR_CONSUMER}
"""Which program takes what from the queue."""

_POINTS = 120


@dataclass(frozen=True)
class OperationsData:
    """Frames as `metrics.operations` and `metrics.freshness` give them. `latest`: the last change of each component in a
    month; `month`: the availability of a month, one row."""

    latest: pd.DataFrame
    history: pd.DataFrame
    uptime: Uptime
    month: pd.DataFrame
    journals: JournalsData
    arrivals: pd.DataFrame
    letters: pd.DataFrame
    runs: Runs
    bucket: str


def answer(warehouse: Warehouse, window: Window, *, now: datetime) -> OperationsData:
    """All that comes from the warehouse."""
    start, end = window.start, window.end
    bucket = auto_bucket(window, volume=10**9, most=_POINTS)
    history = beside(status_history, warehouse, start=start, end=end)
    calls = beside(uptime, warehouse, window)
    of_month = beside(availability, warehouse, start=now - MONTH, end=now)
    waited = beside(backlogs, warehouse, start=start, end=end, bucket=bucket)
    arrived = beside(arrivals, warehouse, start=start, end=end, bucket=bucket)
    letters = beside(dead_letters, warehouse, start=start, end=end)
    ran = beside(runs, warehouse)
    month = status_history(warehouse, start=now - MONTH, end=now + timedelta(minutes=1))
    return OperationsData(
        latest=month.drop_duplicates("component").reset_index(drop=True),
        history=history.result(),
        uptime=calls.result(),
        month=of_month.result(),
        journals=newest_and_course(waited.result(), bucket),
        arrivals=arrived.result(),
        letters=letters.result(),
        runs=ran.result(),
        bucket=bucket,
    )


def waiting(settings: QueueSettings) -> dict[str, StreamState] | str:
    """How much lies in each stream and waits for its program; the reason in words when the queue does not answer."""
    try:
        return asyncio.run(_waiting(settings))
    except QueueUnavailable as error:
        return str(error)


async def _waiting(settings: QueueSettings) -> dict[str, StreamState]:
    queue = JetStreamQueue(settings, name="heliograph-dashboard")
    try:
        return {stream: await queue.state(stream, consumer) for stream, consumer in STREAMS.items()}
    finally:
        await queue.close()
