"""What was measured, as people read it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from benchmarks.app.visits import Place, Visit

GOAL_RATIO = 1.5
_WAYS = {"new": "in a new browser session", "turn": "by a click on another page"}


@dataclass(frozen=True)
class Row:
    """A page: what is on it, how many questions it asks of the warehouse, and its visits by kind (`new cold`, …)."""

    place: Place
    questions: int
    visits: Mapping[str, list[Visit]]

    @property
    def name(self) -> str:
        return "one incident" if "?" in self.place.path else self.place.title.lower()

    def seconds(self, kind: str) -> float | None:
        """The median until it was drawn."""
        found = self.visits.get(kind)
        return statistics.median(visit.seconds for visit in found) if found else None

    def server_seconds(self, kind: str) -> float:
        """The median of the server's processor time."""
        return statistics.median(visit.server_seconds for visit in self.visits[kind])


def show(rows: Sequence[Row], attempts: int) -> None:
    """A table for each way to a page, and how the goal stands."""
    for way, words in _WAYS.items():
        click.echo(
            f"\n{words}, {attempts:,} attempts: seconds until all is drawn (in brackets the server's processor time)"
        )
        click.echo(f"{'page':14}{'charts':>7}{'tables':>7}{'frames':>7}{'questions':>11}{'cold':>16}{'warm':>16}{'bare page':>16}{'cold/bare':>11}{'warm/bare':>11}")  # fmt: skip
        for row in rows:
            if row.seconds(f"{way} bare") is not None:
                click.echo(_line(row, way))
    click.echo(f"\ngoal: at most {GOAL_RATIO} times the bare page; missed by {', '.join(_missed(rows)) or 'none'}")


def _line(row: Row, way: str) -> str:
    cells = "".join(f"{_cell(row, f'{way} {kind}'):>16}" for kind in ("cold", "warm", "bare"))
    ratios = "".join(f"{_ratio(row, way, kind):>9.2f} ×" for kind in ("cold", "warm"))
    return f"{row.name:14}{row.place.charts:>7}{row.place.tables:>7}{row.place.frames:>7}{row.questions:>11}{cells}{ratios}"


def _cell(row: Row, kind: str) -> str:
    return f"{row.seconds(kind):.2f} ({row.server_seconds(kind):.2f})"


def _ratio(row: Row, way: str, kind: str) -> float:
    ours, bare = row.seconds(f"{way} {kind}"), row.seconds(f"{way} bare")
    return ours / bare if ours and bare else float("nan")


def _missed(rows: Sequence[Row]) -> list[str]:
    return [
        f"{row.name} ({kind}, {words})"
        for way, words in _WAYS.items()
        for row in rows
        for kind in ("cold", "warm")
        if _ratio(row, way, kind) > GOAL_RATIO
    ]
