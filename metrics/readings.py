"""A metric's value as people meet it, with its sample size, and whether two of them differ by more than chance.

The dashboard and the report judge by the same rule, so that a tile and a mail cannot contradict each other's arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Literal

from metrics.catalogue import Metric

Verdict = Literal["better", "worse", ""]

FALSE_ALARM = 0.01
"""How often chance alone may name anything among figures that are judged together: one time in a hundred."""

SECONDS_SHARE, SECONDS_N = 0.1, 100
"""A median comes without its spread: it has moved when it did so by a tenth, on a hundred messages."""


@dataclass(frozen=True)
class Reading:
    """One value with its sample size, None where undefined; `p95` only where the metric has one."""

    value: float | None = None
    n: int = 0
    settled: bool = True
    p95: float | None = None


def interval(value: float | None, n: int, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """The Wilson score interval of a ratio: where its true value lies, `confidence` of the time; None where undefined.

    Unlike value ± error it stays within 0 and 1, and is honest for small n (Brown, Cai, DasGupta 2001).
    """
    if value is None or n <= 0:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def verdict(metric: Metric, now: Reading, before: Reading, *, judged_together: int = 1) -> Verdict:
    """Whether `now` differs from `before` by more than chance, and whether that is good; '' when it may be chance.

    `judged_together` is the number of comparisons shown side by side: the more, the stricter (Bonferroni).
    """
    if now.value is None or before.value is None or not _is_clear(metric, now, before, judged_together):
        return ""
    return "better" if (now.value > before.value) == (metric.good == "up") else "worse"


def deviations(now: Reading, before: Reading) -> float:
    """How many standard deviations apart two ratios are: the pooled two-sample z-test."""
    if now.value is None or before.value is None or not now.n or not before.n:
        return 0.0
    pooled = (now.value * now.n + before.value * before.n) / (now.n + before.n)
    spread = sqrt(pooled * (1 - pooled) * (1 / now.n + 1 / before.n))
    return abs(now.value - before.value) / spread if spread else 0.0


def _is_clear(metric: Metric, now: Reading, before: Reading, judged_together: int) -> bool:
    if metric.unit == "ratio":
        return deviations(now, before) > NormalDist().inv_cdf(1 - FALSE_ALARM / 2 / max(1, judged_together))
    if now.value is None or before.value is None:
        return False
    moved = abs(now.value - before.value)
    return min(now.n, before.n) >= SECONDS_N and moved > 0 and moved >= SECONDS_SHARE * before.value
