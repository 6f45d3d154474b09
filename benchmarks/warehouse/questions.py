"""Four questions, each asked of Heliograph and of the raw events by a plain join, and how long the answers take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files

import pandas as pd

from core.warehouse import Warehouse
from metrics.catalogue import METRICS
from metrics.query import Question, ask

ROUNDS, JOIN_ROUNDS = 20, 3
TEN = tuple(one.slug for one in METRICS)


@dataclass(frozen=True)
class Asked:
    """A question in words, as it is put to us, and the name of its rival in `joins.sql`; '' where the join is left out."""

    words: str
    question: Question
    join: str


@dataclass(frozen=True)
class Timing:
    """Seconds an answer took, and how many rows it had."""

    words: str
    median: float
    p95: float
    rows: int
    join_median: float | None
    agrees: bool


def questions(end: datetime) -> list[Asked]:
    """The questions about a past that ends at `end`."""
    day, hour = timedelta(days=1), timedelta(hours=1)
    delivery = ("delivery_rate",)
    return [
        Asked(
            "delivery rate, one day, per 5 minutes by carrier",
            Question(delivery, end - day, end, dimensions=("carrier",), bucket="5m"),
            "five_minutes",
        ),
        Asked(
            "all ten, last hour, by provider and carrier",
            Question(TEN, end - hour, end, dimensions=("provider", "carrier")),
            "last_hour",
        ),
        Asked(
            "delivery rate, 30 days, per day by country",
            Question(delivery, end - 30 * day, end, dimensions=("country",), bucket="1d"),
            "month",
        ),
        Asked(
            "all ten, 30 days, per day by country",
            Question(TEN, end - 30 * day, end, dimensions=("country",), bucket="1d"),
            "",
        ),
        Asked(
            "p50 and p95 of delivery time, 7 days, by provider",
            Question(("delivery_time",), end - 7 * day, end, dimensions=("provider",)),
            "week",
        ),
    ]


def measure(warehouse: Warehouse, end: datetime) -> Iterator[Timing]:
    """Time them all; what the join says is compared with what we say."""
    joins = _joins()
    for asked in questions(end):
        ours, times = _timed(lambda question=asked.question: ask(warehouse, question, now=end), ROUNDS)  # type: ignore[misc]
        join_median, agrees = None, True
        if asked.join:
            window = {
                "start": f"{asked.question.start:%Y-%m-%d %H:%M:%S}",
                "end": f"{asked.question.end:%Y-%m-%d %H:%M:%S}",
            }
            sql = joins[asked.join]
            theirs, join_times = _timed(lambda sql=sql, window=window: warehouse.query_df(sql, window), JOIN_ROUNDS)  # type: ignore[misc]
            join_median, agrees = statistics.median(join_times), _agree(ours, theirs)
        p95 = sorted(times)[-1 - len(times) // 20]
        yield Timing(asked.words, statistics.median(times), p95, len(ours), join_median, agrees)


def _timed(call: Callable[[], pd.DataFrame], rounds: int) -> tuple[pd.DataFrame, list[float]]:
    answer = call()  # the first one reads from the disk
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return answer, times


def _agree(ours: pd.DataFrame, theirs: pd.DataFrame) -> bool:
    """Whether every value the join has is ours too; where nothing was submitted or accepted both may have no row."""
    values = [name for name in theirs if name in TEN or name == "delivery_time_p95"]
    if "n" in theirs:
        ours = ours[ours[f"{values[0]}_n"] > 0]
    one, other = (_sorted(frame, values) for frame in (ours, theirs))
    return len(one) == len(other) and all(
        abs(a - b) < 1e-6 or (a != a and b != b) for a, b in zip(one, other, strict=True)
    )


def _sorted(frame: pd.DataFrame, values: Sequence[str]) -> list[float]:
    return [
        float(value) for name in values for value in sorted(frame[name].astype("float64"), key=lambda x: (x != x, x))
    ]


def _joins() -> Mapping[str, str]:
    text = files("benchmarks.warehouse").joinpath("joins.sql").read_text(encoding="utf-8")
    parts = [part.partition("\n") for part in text.split("-- name: ")[1:]]
    return {name.strip(): sql.strip().rstrip(";") for name, _, sql in parts}
