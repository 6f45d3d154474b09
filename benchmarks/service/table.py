"""What was measured, as people read it."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import click

from benchmarks.service.load import Tally

SEND_GOAL, CHECK_GOAL, LIMIT_GOAL = 4.0, 6.0, 1 / 3
"""At 64 callers: times the rival's rate, and the share of the smaller limit that checks reach."""


@dataclass(frozen=True)
class Cell:
    """One side, one operation, so many callers: medians over the rounds, and the rates' spread."""

    rate: float
    slowest: float
    fastest: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    refused: Counter[int]

    @classmethod
    def of(cls, rounds: Sequence[Tally]) -> Cell:
        """From the rounds."""
        rates = [tally.rate for tally in rounds]
        statuses = sum((tally.statuses for tally in rounds), Counter[int]())
        return cls(
            rate=statistics.median(rates),
            slowest=min(rates),
            fastest=max(rates),
            p50_ms=statistics.median(tally.quantile_ms(0.5) for tally in rounds),
            p99_ms=statistics.median(tally.quantile_ms(0.99) for tally in rounds),
            cpu_ms=statistics.median(tally.cpu_ms for tally in rounds),
            refused=Counter({status: count for status, count in statuses.items() if status >= 300}),
        )


@dataclass
class Limits:
    """What the parts do alone, a figure a round: nothing made of them can be quicker."""

    empty_posts: list[float] = field(default_factory=list)
    batched_rows: list[float] = field(default_factory=list)

    @property
    def smaller(self) -> float:
        """The medians' smaller one."""
        return min(statistics.median(self.empty_posts), statistics.median(self.batched_rows))


def print_report(cell: Callable[[str, int, str], Cell], limits: Limits, *, processes: int) -> None:
    """One table, the limits, and how the goals stand."""
    side = f"{'calls/s':>8} {'(spread)':>15} {'p50 ms':>7} {'p99 ms':>7} {'cpu ms':>7}"
    head = f"{'':13}   {'the service':^{len(side)}}   {'the plain way':^{len(side)}}   service / plain"
    unit = f"{'':5} {'callers':>7}   {side}   {side}   {'rate':>6} {'p99':>6} {'cpu':>6}"
    click.echo(head)
    click.echo(unit)
    refused: Counter[str] = Counter()
    for operation in ("send", "check"):
        for callers in (1, 16, 64):
            ours, plain = cell(operation, callers, "service"), cell(operation, callers, "plain")
            click.echo(_line(operation, callers, ours, plain))
            for side, found in (("service", ours), ("plain", plain)):
                refused.update({f"{side} answered {status}": count for status, count in found.refused.items()})
    click.echo(
        f"\nlimits: {statistics.median(limits.empty_posts):,.0f} empty POSTs a second with 64 callers, "
        f"{statistics.median(limits.batched_rows):,.0f} rows a second in shared transactions"
    )
    click.echo(f"processes: {processes} of the service, {processes} of the rival; not 2xx: {dict(refused) or 'none'}\n")
    _print_goals(cell, limits)


def _line(operation: str, callers: int, ours: Cell, plain: Cell) -> str:
    return (
        f"{operation:5} {callers:7}   {_side(ours)}   {_side(plain)}   {_ratio(ours.rate, plain.rate):6.2f} "
        f"{_ratio(ours.p99_ms, plain.p99_ms):6.2f} {_ratio(ours.cpu_ms, plain.cpu_ms):6.2f}"
    )


def _side(cell: Cell) -> str:
    spread = f"({cell.slowest:,.0f}–{cell.fastest:,.0f})"
    return f"{cell.rate:8,.0f} {spread:>15} {cell.p50_ms:7.1f} {cell.p99_ms:7.1f} {cell.cpu_ms:7.2f}"


def _ratio(one: float, other: float) -> float:
    """Not a number where nothing was answered: a stalled machine must not cost the rest of the table."""
    return one / other if other else float("nan")


def _print_goals(cell: Callable[[str, int, str], Cell], limits: Limits) -> None:
    for operation, goal in (("send", SEND_GOAL), ("check", CHECK_GOAL)):
        ours, plain = cell(operation, 64, "service"), cell(operation, 64, "plain")
        _goal(f"{operation} at 64 callers, times the plain way", _ratio(ours.rate, plain.rate), goal)
        _goal(f"{operation} at 64 callers, p99 of the plain way over ours", _ratio(plain.p99_ms, ours.p99_ms), 1.0)
    _goal(
        "check at 64 callers, share of the smaller limit",
        _ratio(cell("check", 64, "service").rate, limits.smaller),
        LIMIT_GOAL,
    )


def _goal(words: str, reached: float, goal: float) -> None:
    click.echo(f"{words}: {reached:.2f} (goal {goal:.2f}) {'reached' if reached >= goal else 'MISSED'}")
