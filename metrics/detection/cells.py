"""What arrived, counted: one row a (minute it was seen, minute of submission, leaf). The only food of the detector.

Late receipts only add rows. The order of rows within a minute means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import BadInput
from metrics.detection.leaves import Floats, Ints, Leaves

COUNTS = ("submitted", "accepted", "receipts", "delivered", "filled", "first_checks", "first_checks_right")
SUBMITTED, ACCEPTED, RECEIPTS, DELIVERED, FILLED, CHECKS, RIGHT = range(len(COUNTS))


@dataclass(frozen=True)
class Cells:
    """Rows in columns; minutes count from 1970 (UTC), `counts` has a column for each of `COUNTS`."""

    seen: Ints
    cohort: Ints
    leaf: Ints
    counts: Floats

    @classmethod
    def none(cls) -> Cells:
        """Nothing arrived."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, nothing, np.zeros((0, len(COUNTS))))

    @classmethod
    def joined(cls, parts: Iterable[Cells]) -> Cells:
        """Several as one, in their order."""
        kept = [one for one in parts if len(one)] or [cls.none()]
        return cls(
            np.concatenate([one.seen for one in kept]),
            np.concatenate([one.cohort for one in kept]),
            np.concatenate([one.leaf for one in kept]),
            np.concatenate([one.counts for one in kept]),
        )

    def __len__(self) -> int:
        return len(self.seen)

    def __getitem__(self, rows: slice | np.ndarray) -> Cells:
        return Cells(self.seen[rows], self.cohort[rows], self.leaf[rows], self.counts[rows])

    def minutes(self, first: int, last: int) -> Iterator[tuple[int, Cells]]:
        """Minute by minute what was seen, from `first` to `last` inclusive, quiet minutes too. Rows lie in order."""
        bounds = np.searchsorted(self.seen, np.arange(first, last + 2))
        for minute, begin, end in zip(range(first, last + 1), bounds[:-1], bounds[1:], strict=True):
            yield minute, self[begin:end]


def minute_of(moments: pd.Series) -> Ints:
    """Minutes since 1970; -1 where there is no moment."""
    stamps = pd.to_datetime(moments, utc=True).dt.as_unit("ns").astype("int64").to_numpy()
    return np.where(moments.isna().to_numpy(), -1, stamps // 60_000_000_000)


def from_arrivals(frame: pd.DataFrame, leaves: Leaves) -> Cells:
    """From the columns `seen_minute`, `cohort_minute`, the dimensions and the counts."""
    if frame.empty:
        return Cells.none()
    counts = np.column_stack(
        [frame[name].to_numpy(dtype=float) if name in frame else np.zeros(len(frame)) for name in COUNTS]
    )
    return _ordered(minute_of(frame["seen_minute"]), minute_of(frame["cohort_minute"]), leaves.number(frame), counts)


def from_attempts(frame: pd.DataFrame, leaves: Leaves) -> Cells:
    """From attempts in the columns of the warehouse, with `first_check_at` and `first_check_right` where known.

    Of two final receipts the earlier counts; an attempt that was refused by us was never submitted.
    """
    _demand(frame, ("submitted_at", "outcome"))
    ours = frame[(frame["outcome"] != "refused") & frame["submitted_at"].notna()]
    leaf, cohort = leaves.number(ours), minute_of(ours["submitted_at"])
    accepted = (ours["outcome"] == "accepted").to_numpy()
    delivered, failed = (_moments(ours, name) for name in ("delivered_at", "failed_at"))
    received = np.where(delivered < 0, failed, np.where(failed < 0, delivered, np.minimum(delivered, failed)))
    good = (delivered >= 0) & _no_later(ours)
    filled, checked = _moments(ours, "filled_at"), _moments(ours, "first_check_at")
    right = ours["first_check_right"].fillna(False).to_numpy(dtype=bool) if "first_check_right" in ours else checked < 0
    told = [
        (cohort, SUBMITTED, np.ones(len(ours), dtype=bool)),
        (cohort, ACCEPTED, accepted),
        (received, RECEIPTS, accepted & (received >= 0)),
        (received, DELIVERED, accepted & good),
        (filled, FILLED, accepted & (filled >= 0)),
        (checked, CHECKS, checked >= 0),
        (checked, RIGHT, (checked >= 0) & right),
    ]
    parts = [(np.maximum(seen, cohort)[held], cohort[held], leaf[held], column) for seen, column, held in told]
    return _added_up(parts)


def _added_up(parts: list[tuple[Ints, Ints, Ints, int]]) -> Cells:
    seen, cohort, leaf = (np.concatenate([part[place] for part in parts]) for place in range(3))
    column = np.concatenate([np.full(len(part[0]), part[3]) for part in parts])
    if not len(seen):
        return Cells.none()
    first_cohort, leaf_count = int(cohort.min()), int(leaf.max()) + 1
    packed = ((seen - seen.min()) * (int(cohort.max()) - first_cohort + 1) + cohort - first_cohort) * leaf_count + leaf
    _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    counts = np.bincount(inverse * len(COUNTS) + column, minlength=len(first) * len(COUNTS)).astype(float)
    return Cells(seen[first], cohort[first], leaf[first], counts.reshape(len(first), len(COUNTS)))


def _ordered(seen: Ints, cohort: Ints, leaf: Ints, counts: Floats) -> Cells:
    order = np.lexsort((leaf, cohort, seen))
    return Cells(seen[order], cohort[order], leaf[order], counts[order])


def _moments(frame: pd.DataFrame, name: str) -> Ints:
    return minute_of(frame[name]) if name in frame else np.full(len(frame), -1, dtype=np.int64)


def _no_later(frame: pd.DataFrame) -> np.ndarray:
    if "failed_at" not in frame:
        return np.ones(len(frame), dtype=bool)
    return (frame["failed_at"].isna() | (frame["delivered_at"] <= frame["failed_at"])).to_numpy()


def _demand(frame: pd.DataFrame, columns: tuple[str, ...]) -> None:
    missing = [name for name in columns if name not in frame]
    if missing:
        raise BadInput(f"the attempts lack the columns {', '.join(missing)}")
