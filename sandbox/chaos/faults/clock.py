"""F20: the clocks of the whole site step: a second back, five minutes, an hour, either way, and right again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial

from sandbox.chaos.cluster import Plan, find_faketime
from sandbox.chaos.ledger import Ledger
from sandbox.chaos.nemesis import Fault, Field

_HOUR = 3600.0
_TOO_OLD = frozenset({401, 403})
"""A push that was signed just before the step is too old after it: its provider signs it again."""


def stepped(seconds: float) -> Callable[[Field], AbstractAsyncContextManager[None]]:
    """All clocks step at once, those of the providers too, and later step back."""

    @asynccontextmanager
    async def around(field: Field) -> AsyncIterator[None]:
        field.cluster.move_clock(seconds)
        try:
            yield
        finally:
            field.cluster.move_clock(0.0)
        for problem in out_of_order(field.load.ledger, since=field.began_at):
            field.fail("I1", problem)

    return around


def out_of_order(ledger: Ledger, *, since: float) -> Iterator[str]:
    """Ids of an instance that do not grow: a request that was begun after another was answered, with a smaller id."""
    seen: set[object] = set()
    for instance in {call.instance for call in ledger.calls}:
        calls = [call for call in ledger.ok("verify", "message") if call.instance == instance]
        newest, answered_at = 0, 0.0
        for call in sorted(calls, key=lambda call: call.at + call.seconds):
            if call.request_id is None or call.request_id in seen or call.at < since:
                continue
            seen.add(call.request_id)
            if call.at > answered_at and call.request_id.int < newest:
                yield f"{call}: its id is smaller than one that was given before"
            newest, answered_at = max(newest, call.request_id.int), call.at + call.seconds


def _needs_faketime(_plan: Plan) -> str:
    return "" if find_faketime() else "moving a program's clock needs libfaketime (apt-get install faketime)"


_clock = partial(
    Fault,
    victim="clock",
    impossible=_needs_faketime,
    plan=lambda plan: replace(plan, fake_clock=True),
    codes_may_expire=True,
    tolerates=_TOO_OLD,
)

FAULTS = (
    _clock(number="F20a", title="clocks step back by a second", around=stepped(-1.0)),
    _clock(number="F20b", title="clocks step forward by 5 minutes", around=stepped(300.0)),
    _clock(number="F20c", title="clocks step back by 5 minutes", around=stepped(-300.0)),
    _clock(number="F20d", title="clocks step forward by an hour", around=stepped(_HOUR)),
    _clock(number="F20e", title="clocks step back by an hour", around=stepped(-_HOUR)),
)
