"""The ten metrics against a plain recount in pandas over a few thousand random events, told in random order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.events import Event, Receipt, Send, Verify
from core.warehouse import Warehouse
from metrics.catalogue import METRICS
from metrics.query import Question, ask
from sandbox.chaos.recount import recount as plain_recount
from sandbox.chaos.recount import submitted
from tests.metrics.story import START, Request, all_of, at, tell

SLUGS = tuple(one.slug for one in METRICS)
HOURS = 24
LATEST_HOURS = 72
"""Within so many hours after its send a receipt has come, whatever made it late."""
NOW = at(HOURS * 3600 + 30)
ON_TIME_SECONDS = 20
SEED = 20260302


def random_requests(rng: np.random.Generator, how_many: int) -> list[Request]:
    def one_of(*choices: str) -> str:
        return str(rng.choice(choices))

    requests = []
    for number in range(how_many):
        seconds = round(float(rng.uniform(0, HOURS * 3600)), 3)
        category = one_of("code", "code", "code", "notification")
        request = Request(
            f"random {number}",
            seconds=seconds,
            carrier=one_of("north", "south"),
            country=one_of("DE", "FR"),
            region=one_of("", "BE"),
            app=one_of("shop", "bank"),
            purpose=one_of("login", "signup"),
            template=one_of("short", "long"),
        )
        after = 0.0
        for attempt in range(1, int(rng.integers(1, 4)) + 1):
            cause = "first" if attempt == 1 else one_of("failover", "resend")
            outcome = one_of("accepted", "accepted", "accepted", "rejected", "failed", "unknown", "refused")
            request.sent(
                outcome,
                attempt=attempt,
                after=after,
                cause=cause,
                category=category,
                provider=one_of("aurora", "beacon"),
            )
            for _ in range(int(rng.integers(0, 4))):
                status = one_of("delivered", "delivered", "failed", "pending")
                fault = one_of("handset", "number", "route", "blocked") if status == "failed" else ""
                # one in twenty comes hours or days later
                late = float(rng.uniform(3600, (LATEST_HOURS - 2) * 3600)) if rng.uniform() < 0.05 else 0.0
                delay = round(after + late + float(rng.exponential(15)), 3)
                names = one_of("", "", "west")
                request.receipt(
                    status, delay, attempt=attempt, error_class=fault, carrier=names, raw_code=str(rng.integers(9))
                )
            after = round(after + float(rng.exponential(40)), 3)
        if category == "code":
            for _ in range(int(rng.integers(0, 3))):
                result = one_of("approved", "approved", "wrong", "expired", "too_many")
                attempt = 0 if result == "wrong" else int(rng.integers(1, 4))
                request.check(result, round(float(rng.uniform(5, 200)), 3), attempt=attempt)
        requests.append(request)
    return requests


def frame_of(events: list[Event], kind: type[Event]) -> pd.DataFrame:
    names = ["request_id", *kind.__struct_fields__]
    return pd.DataFrame([{name: getattr(event, name) for name in names} for event in events if isinstance(event, kind)])


def attempts_of(events: list[Event]) -> pd.DataFrame:
    return submitted(frame_of(events, Send), frame_of(events, Receipt), frame_of(events, Verify))


def recount(
    table: pd.DataFrame, *, now: datetime = NOW, on_time_seconds: int = ON_TIME_SECONDS
) -> dict[str, tuple[float, int]]:
    return plain_recount(table, now=now, on_time_seconds=on_time_seconds)


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return all_of(*random_requests(np.random.default_rng(SEED), 1200))


@pytest.fixture(scope="module")
def told(shared_warehouse: Warehouse, events: list[Event]) -> Warehouse:
    """All of them, a tenth of them twice, in random order, in parts of five hundred."""
    rng = np.random.default_rng(SEED)
    order = rng.permutation(np.concatenate([np.arange(len(events)), rng.integers(0, len(events), len(events) // 10)]))
    for first in range(0, len(order), 500):
        batch = [events[index] for index in order[first : first + 500]]
        tell(shared_warehouse, sorted(batch, key=lambda event: event.kind))
    return shared_warehouse


def answer(warehouse: Warehouse, **asked: Any) -> pd.DataFrame:
    question = Question(metrics=SLUGS, start=START, end=START + timedelta(hours=HOURS), **asked)
    return ask(warehouse, question, now=NOW, on_time_seconds=ON_TIME_SECONDS)


def same(row: Any, counted: dict[str, tuple[float, int]]) -> None:
    for name, (value, n) in counted.items():
        assert row[name] == pytest.approx(value, nan_ok=True), name
        assert row[f"{name.removesuffix('_p95')}_n"] == n, name


def test_there_are_thousands_of_events_of_every_kind_of_end(events: list[Event]):
    assert len(events) > 4000
    assert {(one.status, one.error_class) for one in events if isinstance(one, Receipt)} >= {
        ("delivered", ""),
        ("failed", "handset"),
        ("failed", "route"),
    }


def test_the_whole_window_agrees(told: Warehouse, events: list[Event]):
    table = attempts_of(events)
    inside = table[(table["at"] >= START) & (table["at"] < START + timedelta(hours=HOURS))]

    same(answer(told).iloc[0], recount(inside))


@pytest.mark.parametrize(
    "dimensions", [("provider",), ("carrier",), ("provider", "carrier", "country")], ids=" and ".join
)
def test_every_slice_agrees(told: Warehouse, events: list[Event], dimensions: tuple[str, ...]):
    table = attempts_of(events)
    inside = table[(table["at"] >= START) & (table["at"] < START + timedelta(hours=HOURS))]
    frame = answer(told, dimensions=dimensions).set_index(list(dimensions))
    groups = inside.groupby(list(dimensions))

    assert len(frame) == len(groups)
    for key, group in groups:
        same(frame.loc[key if len(dimensions) > 1 else key[0]], recount(group))


@pytest.mark.parametrize(("bucket", "length"), [("1h", "1h"), ("5m", "5min")])
def test_every_bucket_agrees(told: Warehouse, events: list[Event], bucket: str, length: str):
    table = attempts_of(events)
    inside = table[(table["at"] >= START) & (table["at"] < START + timedelta(hours=HOURS))]
    frame = answer(told, bucket=bucket, filters={"app": ["bank"], "purpose": ["login"]}).set_index("bucket")
    inside = inside[(inside["app"] == "bank") & (inside["purpose"] == "login")]
    groups = inside.groupby(inside["at"].dt.floor(length))

    assert len(frame) == len(groups)
    for begin, group in groups:
        same(frame.loc[begin], recount(group))


def test_a_window_that_cuts_through_requests_agrees(told: Warehouse, events: list[Event]):
    start, end = datetime(2026, 3, 2, 10, 17, 33, tzinfo=UTC), datetime(2026, 3, 2, 11, 2, 1, tzinfo=UTC)
    table = attempts_of(events)
    inside = table[(table["at"] >= start) & (table["at"] < end)]
    row = ask(told, Question(metrics=SLUGS, start=start, end=end), now=NOW, on_time_seconds=ON_TIME_SECONDS).iloc[0]

    same(row, recount(inside))
