"""What a fault is: how it is made and healed, and what the service is expected to do. `sandbox/chaos/faults/` declares them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from sandbox.chaos.cluster import Cluster, Plan
from sandbox.chaos.load import Load
from sandbox.chaos.operations import Operator
from sandbox.chaos.proxy import NONE, Trouble

FAILS_OVER = ("mysql_fatal", "recovering", "healthy")
"""The statuses of each instance, in order, when MySQL is lost and an operator leads back to it."""
LOSES_MIRROR = ("redis_fatal", "healthy")
STAYS: tuple[str, ...] = ()
"""No change of status."""


@dataclass
class Field:
    """What a fault works on while it lasts. `began_at` (seconds since 1970) is moved on by a fault that takes time to make.

    `note` goes under the table; `fail` says that an invariant does not hold, beyond what the checker looks at.
    """

    cluster: Cluster
    load: Load
    operator: Operator
    rng: np.random.Generator
    seconds: float
    began_at: float = field(default_factory=time.time)
    notes: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def begins(self) -> None:
        """Only now is anything broken."""
        self.began_at = time.time()

    def note(self, text: str) -> None:
        """Something that whoever reads the table should know."""
        self.notes.append(text)

    def fail(self, invariant: str, text: str) -> None:
        """An invariant does not hold."""
        self.problems.append((invariant, text))

    async def trouble(self, name: str, trouble: Trouble) -> None:
        """Put all links to a server into a trouble, or end it with `NONE`."""
        await asyncio.gather(*(asyncio.to_thread(link.set, trouble) for link in self.cluster.links[name]))

    async def heal(self, name: str) -> None:
        """Let everything pass again."""
        await self.trouble(name, NONE)


Around = Callable[[Field], AbstractAsyncContextManager[None]]


def always(_plan: Plan) -> str:
    """Every machine can make this fault."""
    return ""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row of the matrix.

    `victim` is what it breaks: two faults at once are made of different victims only.
    `around` makes the fault when it is entered and heals it when it is left; it lasts `seconds` (`quick_seconds` with
    --quick). `expects` are the statuses that each instance goes through, from the fault to the end of recovery;
    None where that cannot be foretold, and only flapping is wrong.
    `detected_by` is the event in the log that tells of detection, where it is no status. `tolerates` are HTTP statuses
    that are right meanwhile. `impossible` says why this machine cannot make it. `plan` changes the cluster it needs.
    `detection_max_seconds` is None where it depends on how many calls meet the fault.
    `judges_answers` is false where how soon, and whether, a call is answered is not for the service to say.
    `restarts_instances` when the fault ends instances: calls that were under way are then judged by their repetition.
    """

    number: str
    title: str
    around: Around
    victim: str
    expects: Sequence[str] | None = STAYS
    seconds: float = 8.0
    quick_seconds: float = 4.0
    detected_by: str = ""
    tolerates: frozenset[int] = frozenset()
    impossible: Callable[[Plan], str] = always
    plan: Callable[[Plan], Plan] = lambda plan: plan
    codes_may_expire: bool = False
    restarts_instances: bool = False
    judges_answers: bool = True
    p99_max_ms: float | None = None
    detection_max_seconds: float | None = 3.0


def needs_mysql(plan: Plan) -> str:
    """For faults that SQLite does not have."""
    return "SQLite has no such fault" if plan.embedded else ""


def chosen(faults: Iterable[Fault], words: Sequence[str]) -> list[Fault]:
    """Those whose number is one of `words`, or begins with one: F3 means F3a and F3b. All of them without words.

    Raises `LookupError` for a word that names none.
    """
    faults = list(faults)
    if not words:
        return faults
    for word in words:
        if not any(_is_meant(fault, word) for fault in faults):
            raise LookupError(
                f"no fault has the number {word}; there are {', '.join(fault.number for fault in faults)}"
            )
    return [fault for fault in faults if any(_is_meant(fault, word) for word in words)]


def _is_meant(fault: Fault, word: str) -> bool:
    return fault.number == word or (fault.number[:-1] == word and fault.number[-1].isalpha())


def pairs(faults: Iterable[Fault], plan: Plan, *, count: int, rng: np.random.Generator) -> list[Fault]:
    """`count` pairs of faults at once, drawn among those that this machine can make on an ordinary cluster."""
    fit = [fault for fault in faults if not fault.impossible(plan) and fault.plan(plan) == plan]
    every = [(one, other) for place, one in enumerate(fit) for other in fit[place + 1 :] if one.victim != other.victim]
    drawn = rng.choice(len(every), size=min(count, len(every)), replace=False)
    return [both(*every[int(place)]) for place in drawn]


def both(one: Fault, other: Fault) -> Fault:
    """Two faults at once, as one row."""

    @asynccontextmanager
    async def around(field: Field) -> AsyncIterator[None]:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for part in (one, other):
                group.create_task(_last(part, field, over))
            yield
            over.set()

    return Fault(
        number=f"{one.number}+{other.number}",
        title=f"{one.title}; {other.title}",
        around=around,
        victim=f"{one.victim} and {other.victim}",
        expects=None,
        seconds=max(one.seconds, other.seconds),
        quick_seconds=max(one.quick_seconds, other.quick_seconds),
        tolerates=one.tolerates | other.tolerates,
        codes_may_expire=one.codes_may_expire or other.codes_may_expire,
        restarts_instances=one.restarts_instances or other.restarts_instances,
    )


async def _last(fault: Fault, field: Field, over: asyncio.Event) -> None:
    async with fault.around(field):
        await over.wait()
