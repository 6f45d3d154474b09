"""The questions people ask, each put to Heliograph and to the raw events by a plain join, and how long the answers take."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files

import pandas as pd

from core.errors import WarehouseRefused, WarehouseUnavailable
from core.warehouse import Warehouse
from metrics.catalogue import METRICS
from metrics.query import Question, ask

ROUNDS, JOIN_ROUNDS = 20, 3
JOIN_SECONDS = 30.0
"""A join that takes longer than this is asked once."""

TEN = tuple(one.slug for one in METRICS)


@dataclass(frozen=True)
class Asked:
    """A question in words, as it is put to us, and the name of its rival in `joins.sql`, with its keys."""

    words: str
    question: Question
    join: str
    keys: str = ""


@dataclass(frozen=True)
class Timing:
    """Seconds an answer took, and how many rows it had.

    `apart` are the largest relative differences from the join's values, of what is counted and of percentiles; infinite
    when there are other rows. Where the join gave no answer, `join_median` is None and `join_fault` says why.
    """

    words: str
    median: float
    p95: float
    rows: int
    join_median: float | None
    join_fault: str
    apart: tuple[float, float]


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
            "all_ten",
            "s.provider AS provider, if(r.carrier != '', r.carrier, s.carrier) AS carrier",
        ),
        Asked(
            "delivery rate, 30 days, per day by country",
            Question(delivery, end - 30 * day, end, dimensions=("country",), bucket="1d"),
            "month",
        ),
        Asked(
            "all ten, 30 days, per day by country",
            Question(TEN, end - 30 * day, end, dimensions=("country",), bucket="1d"),
            "all_ten",
            "toDate(s.at) AS bucket, s.country AS country",
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
        p95 = sorted(times)[-1 - len(times) // 20]
        sql = joins[asked.join].replace("{keys}", asked.keys)
        window = {
            "start": f"{asked.question.start:%Y-%m-%d %H:%M:%S}",
            "end": f"{asked.question.end:%Y-%m-%d %H:%M:%S}",
        }
        join_median, fault, apart = None, "", (0.0, 0.0)
        try:
            theirs, join_times = _timed(
                lambda sql=sql, window=window: warehouse.query_df(sql, window),  # type: ignore[misc]
                JOIN_ROUNDS,
                seconds_max=JOIN_SECONDS,
            )
            join_median, apart = statistics.median(join_times), _apart(ours, theirs)
        except (WarehouseRefused, WarehouseUnavailable) as error:  # it may need more memory than there is
            fault = str(error)
        yield Timing(asked.words, statistics.median(times), p95, len(ours), join_median, fault, apart)


def _timed(
    call: Callable[[], pd.DataFrame], rounds: int, *, seconds_max: float = math.inf
) -> tuple[pd.DataFrame, list[float]]:
    """The answer and the seconds of each round; the first call reads from the disk, and counts only when it takes too long."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        answer = call()
        times.append(time.perf_counter() - began)
        if sum(times) > seconds_max:
            break
    return answer, times[1:] or times


def _apart(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[float, float]:
    """How far the values are apart; where nothing was submitted or accepted both may have no row."""
    names = [str(name) for name in theirs]
    times = [name for name in names if name.startswith("delivery_time")]
    counted = [name for name in names if name in TEN and name not in times]
    if "n" in theirs:
        ours = ours[ours[f"{counted[0]}_n"] > 0]
    if len(ours) != len(theirs):
        return math.inf, math.inf
    return _farthest(ours, theirs, counted), _farthest(ours, theirs, times)


def _farthest(ours: pd.DataFrame, theirs: pd.DataFrame, names: Sequence[str]) -> float:
    pairs = zip(_sorted(ours, names), _sorted(theirs, names), strict=True)
    return max((_relative(one, other) for one, other in pairs), default=0.0)


def _relative(one: float, other: float) -> float:
    if math.isnan(one) or math.isnan(other):
        return 0.0 if math.isnan(one) and math.isnan(other) else math.inf
    return abs(one - other) / max(abs(other), 1e-9)


def _sorted(frame: pd.DataFrame, values: Sequence[str]) -> list[float]:
    return [
        float(value) for name in values for value in sorted(frame[name].astype("float64"), key=lambda x: (x != x, x))
    ]


def _joins() -> Mapping[str, str]:
    text = files("benchmarks.warehouse").joinpath("joins.sql").read_text(encoding="utf-8")
    parts = [part.partition("\n") for part in text.split("-- name: ")[1:]]
    return {name.strip(): sql.strip().rstrip(";") for name, _, sql in parts}
