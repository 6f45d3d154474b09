"""The printed table: a row a fault, and under it what went wrong and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox.chaos.checker import shortened

INVARIANTS: Mapping[str, str] = {
    "I1": "every call answered 2xx is in MySQL after recovery, exactly once",
    "I2": "approved once, and never more checks than allowed",
    "I3": "one SMS per attempt",
    "I4": "what is final stays so",
    "I5": "ClickHouse has every fact once, and the ten metrics equal a plain recount",
    "I6": "the journals are empty, and replaying them again changes nothing",
    "I7": "no number and no code in clear anywhere",
    "I8": "99.99 % answered 2xx, p99 within the store timeout and a second, detected within 3 s",
    "I9": "every change of status once, none that should not be",
}
ALL = frozenset(INVARIANTS)
_TITLE_WIDTH = 46
_COLUMNS = (
    ("calls", 7),
    ("not 2xx", 8),
    ("p99 ms", 7),
    ("det. s", 7),
    ("lost", 5),
    ("doubled", 8),
    ("appr. 2x", 9),
)


@dataclass
class Row:
    """What came of one fault. `problems` are by invariant; one that is not in `judged` was not looked at.

    `refused` counts the 4xx and 503 that were meant to come.
    """

    number: str
    title: str
    calls: int = 0
    not_ok: int = 0
    refused: int = 0
    p99_ms: float | None = None
    detection_seconds: float | None = None
    lost: int = 0
    doubled: int = 0
    approved_twice: int = 0
    judged: frozenset[str] = ALL
    problems: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    skipped: str = ""

    @property
    def is_ok(self) -> bool:
        """Nothing is wrong; a row that was skipped is not wrong either."""
        return not any(self.problems.values()) and not (self.lost or self.doubled or self.approved_twice)

    def verdict(self, invariant: str) -> str:
        """ok, FAIL, or - where it was not judged."""
        if self.problems.get(invariant):
            return "FAIL"
        return "ok" if invariant in self.judged and not self.skipped else "-"


def heading() -> str:
    """The names of the columns, and a line."""
    names = "".join(f"{name:>{width}}" for name, width in _COLUMNS)
    verdicts = "".join(f"{name:>5}" for name in INVARIANTS)
    line = f"{'fault':<5} {'':<{_TITLE_WIDTH}}{names} {verdicts}"
    return f"{line}\n{'-' * len(line)}"


def line(row: Row) -> str:
    """The row, and under it why it was skipped, its notes and its problems."""
    title = row.title if len(row.title) <= _TITLE_WIDTH else row.title[: _TITLE_WIDTH - 1] + "…"
    head = f"{row.number:<5} {title:<{_TITLE_WIDTH}}"
    if row.skipped:
        return f"{head}  skipped: {row.skipped}"
    figures = (
        str(row.calls),
        str(row.not_ok),
        "-" if row.p99_ms is None else f"{row.p99_ms:.0f}",
        "-" if row.detection_seconds is None else f"{row.detection_seconds:.1f}",
        str(row.lost),
        str(row.doubled),
        str(row.approved_twice),
    )
    cells = "".join(f"{text:>{width}}" for text, (_, width) in zip(figures, _COLUMNS, strict=True))
    verdicts = "".join(f"{row.verdict(name):>5}" for name in INVARIANTS)
    under = [f"      {note}" for note in row.notes]
    for name, problems in row.problems.items():
        under += [f"      {name}: {problem}" for problem in shortened(problems)]
    return "\n".join([f"{head}{cells} {verdicts}", *under])


def summary(rows: Sequence[Row]) -> str:
    """One line about all rows, and what the invariants are where one of them failed."""
    ran = [row for row in rows if not row.skipped]
    failed = [row.number for row in ran if not row.is_ok]
    calls = sum(row.calls for row in ran)
    told = (
        f"{len(ran)} rows, {len(rows) - len(ran)} skipped, {calls} calls: lost {sum(row.lost for row in ran)}, "
        f"doubled {sum(row.doubled for row in ran)}, approved twice {sum(row.approved_twice for row in ran)}"
    )
    if not failed:
        return f"{told}. All that was judged holds."
    return "\n".join([f"{told}. Not as it should be: {', '.join(failed)}", *_meanings(ran)])


def _meanings(rows: Iterable[Row]) -> list[str]:
    broken = {name for row in rows for name, problems in row.problems.items() if problems}
    return [f"  {name}: {meaning}" for name, meaning in INVARIANTS.items() if name in broken]
