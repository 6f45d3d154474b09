"""What becomes of messages, drawn in arrays: one draw for a whole day of history, or for the one message at hand.

History and live traffic use this same draw, so that nothing jumps where the one ends and the other begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.events import ErrorClass, ReceiptStatus
from sandbox.world.channels import FAILURES, REFUSALS, Channel

AnswerKind = Literal["accepted", "rejected", "error", "timeout"]
ANSWERS: tuple[AnswerKind, ...] = ("accepted", "rejected", "error", "timeout")
CLASSES: tuple[ErrorClass, ...] = ("", *FAILURES, "account", "provider", "timeout")
NEVER = np.inf
HANGS_SECONDS = 60.0
"""How long a provider that does not answer keeps the line open: longer than anybody waits."""
PORTED = 0.02
"""Share of numbers whose carrier is not the one that the prefix tells."""

_FAILURE_CODES = np.array([CLASSES.index(name) for name in FAILURES])
_REFUSAL_CODES = np.array([CLASSES.index(name) for name in REFUSALS])
_FAILURE_SECONDS = np.array([75.0, 2.5, 1.8, 2.2, 4.0, 9.0, 1500.0, 6.0])  # medians, in the order of FAILURES

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class PlannedReceipt:
    """One receipt, `after_seconds` after the provider was called; `names_carrier` is empty unless it names one."""

    after_seconds: float
    status: ReceiptStatus
    error_class: ErrorClass
    names_carrier: str = ""


@dataclass(frozen=True)
class Fate:
    """What becomes of one message. All seconds count from the call to the provider.

    `receipts` are in time order, late ones and repetitions included. `arrives_seconds` is when the handset shows the
    message, None when it never does. A message that got no answer may still arrive.
    """

    answer: AnswerKind
    error_class: ErrorClass
    answer_seconds: float
    receipts: tuple[PlannedReceipt, ...]
    arrives_seconds: float | None


@dataclass(frozen=True)
class Draw:
    """Fates in columns. Seconds are `NEVER` where nothing happens; `error` and `failure` index `CLASSES`."""

    answer: Codes  # indexes ANSWERS
    error: Codes
    answer_seconds: Floats
    pending_seconds: Floats
    final_seconds: Floats
    delivered: Bools  # what the final receipt says
    failure: Codes
    duplicate_seconds: Floats
    names_carrier: Bools
    ported: Bools
    arrives_seconds: Floats


class Odds:
    """Channels in columns: row `i` speaks of message `i`. `columns` holds one array a field of `Channel`."""

    def __init__(self, columns: Mapping[str, Floats], *, size: int) -> None:
        self.columns = columns
        self.size = size

    @classmethod
    def of(cls, channels: Sequence[Channel]) -> Odds:
        """Row by row from channels."""
        columns = {
            field.name: np.array([getattr(channel, field.name) for channel in channels], dtype=float)
            for field in fields(Channel)
        }
        return cls(columns, size=len(channels))

    def __getitem__(self, name: str) -> Floats:
        return self.columns[name]

    def happens(self, rng: np.random.Generator, name: str) -> Bools:
        """Whether it does, message by message."""
        return rng.random(self.size) < self[name]

    def pick(self, rng: np.random.Generator, name: str) -> Codes:
        """An index drawn from the mix of that name, message by message."""
        cumulative = np.cumsum(self[name], axis=1)
        drawn = rng.random(self.size) * cumulative[:, -1]
        return np.asarray((drawn[:, None] >= cumulative).sum(axis=1), dtype=np.int64)


def draw_fates(rng: np.random.Generator, odds: Odds) -> Draw:
    """The fates of `odds.size` messages; how many numbers are drawn depends on the size alone."""
    answer, error, answer_seconds = _answers(rng, odds)
    carried = (answer == 0) | ((answer == 3) & (rng.random(odds.size) < 0.5))
    verdict = rng.random(odds.size)
    delivered = carried & (verdict < odds["delivered"])
    failed = carried & ~delivered & (verdict < odds["delivered"] + odds["failed"])
    silent = carried & ~delivered & ~failed
    transit = _transits(rng, odds)
    early = odds.happens(rng, "early")
    transit = np.where(early, np.minimum(transit, answer_seconds * 0.6), transit)

    shown = (delivered & odds.happens(rng, "arrives")) | (silent & odds.happens(rng, "silent_arrives"))
    reason = odds.pick(rng, "failure_mix")
    failing = _FAILURE_SECONDS[reason] * np.exp(1.1 * rng.standard_normal(odds.size))
    lag = np.where(early, 0.0, 0.4 * np.exp(0.7 * rng.standard_normal(odds.size)))
    told = odds.happens(rng, "told")
    final = np.where(told & delivered, transit + lag, np.where(told & failed, failing, NEVER))
    interim = told & carried & odds.happens(rng, "pending")
    pending = np.minimum(transit, failing) * rng.uniform(0.2, 0.7, odds.size)
    again = 20 * np.exp(1.2 * rng.standard_normal(odds.size))
    repeats = odds.happens(rng, "duplicate")
    names = odds.happens(rng, "names_carrier")
    ported = rng.random(odds.size) < PORTED
    return Draw(
        answer=answer,
        error=error,
        answer_seconds=answer_seconds,
        pending_seconds=np.where(interim, pending, NEVER),
        final_seconds=final,
        delivered=delivered,
        failure=np.where(failed, _FAILURE_CODES[reason], 0),
        duplicate_seconds=np.where(repeats, final + again, NEVER),
        names_carrier=names,
        ported=ported,
        arrives_seconds=np.where(shown, transit, NEVER),
    )


def _answers(rng: np.random.Generator, odds: Odds) -> tuple[Codes, Codes, Floats]:
    bounds = np.cumsum([odds["rejected"], odds["broken"], odds["unanswered"]], axis=0)
    drawn = rng.random(odds.size)
    answer = np.select([drawn < bounds[0], drawn < bounds[1], drawn < bounds[2]], [1, 2, 3], default=0)
    refusal = _REFUSAL_CODES[odds.pick(rng, "refusal_mix")]
    error = np.select(
        [answer == 1, answer == 2, answer == 3],
        [refusal, CLASSES.index("provider"), CLASSES.index("timeout")],
        default=0,
    )
    seconds = odds["answer_seconds"] * np.exp(odds["answer_sigma"] * rng.standard_normal(odds.size))
    return answer, error, np.where(answer == 3, HANGS_SECONDS, seconds)


def _transits(rng: np.random.Generator, odds: Odds) -> Floats:
    """Seconds to the handset: lognormal, and for a few minutes to hours on top (a handset that was off)."""
    usual = odds["transit_seconds"] * np.exp(odds["transit_sigma"] * rng.standard_normal(odds.size))
    held = 420 * np.exp(1.3 * rng.standard_normal(odds.size))
    return np.asarray(usual + np.where(odds.happens(rng, "late"), np.minimum(held, 4 * 3600), 0.0), dtype=np.float64)


def fate_of(draw: Draw, row: int, *, carriers: tuple[str, str], pace: float = 1.0) -> Fate:
    """Row `row` as one fate. `carriers` are the carrier by prefix and the one it would have been ported to."""
    carrier = carriers[1 if draw.ported[row] else 0] if draw.names_carrier[row] else ""
    final: tuple[ReceiptStatus, ErrorClass] = (
        ("delivered", "") if draw.delivered[row] else ("failed", CLASSES[draw.failure[row]])
    )
    planned = [
        (float(draw.pending_seconds[row]), "pending", "", ""),
        (float(draw.final_seconds[row]), *final, carrier),
        (float(draw.duplicate_seconds[row]), *final, carrier),
    ]
    arrives = float(draw.arrives_seconds[row])
    return Fate(
        answer=ANSWERS[draw.answer[row]],
        error_class=CLASSES[draw.error[row]],
        answer_seconds=float(draw.answer_seconds[row]) * pace,
        receipts=tuple(
            PlannedReceipt(seconds * pace, status, error_class, named)
            for seconds, status, error_class, named in sorted(planned)
            if seconds < NEVER
        ),
        arrives_seconds=arrives * pace if arrives < NEVER else None,
    )
