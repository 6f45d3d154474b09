"""What the load did, call by call, and how each call ended: the side of the truth that the stores are compared with.

A call that got no answer, or an error of the server, is `unknown`: what it asked for may have happened. Nothing here
is written to a disk, for it knows numbers and codes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

Ending = Literal["ok", "refused", "unknown"]
Attempt = tuple[UUID, int]


def ending_of(status: int) -> Ending:
    """How a call with this HTTP status ended; 0 stands for no answer."""
    if 200 <= status < 300:
        return "ok"
    return "refused" if 400 <= status < 500 else "unknown"


@dataclass(slots=True, kw_only=True)
class Call:
    """One HTTP call. `result` is the verdict of a check, `is_right` says that the code entered was right and in time.

    `intended` marks a refusal that the call was made to get, `made_good` a call without an answer that was repeated
    with the same key and success. `says_when` tells whether the answer had a Retry-After.
    """

    kind: str
    instance: str
    at: float
    seconds: float
    status: int
    request_id: UUID | None = None
    attempt: int = 0
    result: str = ""
    is_right: bool = False
    key: str = ""
    intended: bool = False
    made_good: bool = False
    says_when: bool = False

    @property
    def ending(self) -> Ending:
        return ending_of(self.status)

    @property
    def is_failure(self) -> bool:
        """Well-formed, and yet not answered 2xx."""
        return self.ending != "ok" and not self.intended

    def __str__(self) -> str:
        asked = f" of {self.request_id}" if self.request_id else ""
        return f"{self.kind}{asked} through {self.instance}"


@dataclass(frozen=True)
class Alone:
    """An instance could ask neither store, between these seconds since 1970: what it promises then holds for it alone."""

    instance: str
    since: float
    until: float


@dataclass
class Ledger:
    """All calls of a run, and what providers and handsets saw of it.

    `receipts` are attempts of which a receipt was acknowledged, `finals` what the API once said was final, `stops` the
    numbers whose STOP was acknowledged. `secrets` are all numbers and codes that were ever used.
    """

    calls: list[Call] = field(default_factory=list)
    receipts: set[Attempt] = field(default_factory=set)
    finals: dict[Attempt, str] = field(default_factory=dict)
    stops: set[str] = field(default_factory=set, repr=False)
    secrets: set[str] = field(default_factory=set, repr=False)
    submissions: Counter[str] = field(default_factory=Counter)
    alone: list[Alone] = field(default_factory=list)

    def place(self, call: Call) -> str:
        """Where a call was decided: in the stores (""), or by an instance that could ask none."""
        spells = (spell for spell in self.alone if spell.instance == call.instance)
        is_alone = any(call.at <= spell.until and call.at + call.seconds >= spell.since for spell in spells)
        return call.instance if is_alone else ""

    def since(self, at: float) -> list[Call]:
        """The calls that were begun at `at` (seconds since 1970) or later."""
        return [call for call in self.calls if call.at >= at]

    def ok(self, *kinds: str) -> Iterator[Call]:
        """The calls of these kinds that were answered 2xx."""
        return (call for call in self.calls if call.kind in kinds and call.ending == "ok")

    def of(self, kind: str, *endings: Ending) -> Iterator[Call]:
        """The calls of a kind that ended so."""
        return (call for call in self.calls if call.kind == kind and call.ending in endings)
