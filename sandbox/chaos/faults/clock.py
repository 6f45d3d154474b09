"""F20: clocks step, a second back, five minutes, an hour, either way, and right again; and those of two instances are apart."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial

from sandbox.chaos.ledger import Ledger
from sandbox.chaos.nemesis import FAILS_OVER, Fault, Field
from sandbox.chaos.proxy import DOWN

_HOUR = 3600.0
_APART_SECONDS = 120.0  # more, and a provider's signature would be too old
_MADE = 201  # a resend is answered with 200, and with the id of long ago
_TOO_OLD = frozenset({401, 403})
"""A push that was signed just before the step is too old after it: its provider signs it again."""


def stepped(seconds: float) -> Callable[[Field], AbstractAsyncContextManager[None]]:
    """All clocks step at once, those of the providers too, and later step back."""

    @asynccontextmanager
    async def around(field: Field) -> AsyncIterator[None]:
        field.cluster.move_clocks(seconds)
        try:
            yield
        finally:
            field.cluster.move_clocks(0.0)
        for problem in out_of_order(field.load.ledger, since=field.began_at):
            field.fail("I1", problem)

    return around


def out_of_order(ledger: Ledger, *, since: float) -> Iterator[str]:
    """Ids of an instance that do not grow: a request that was begun after another was answered, with a smaller id.

    Only first calls with a key count, and of those only what began a request: one that is repeated, and a resend, is
    answered with the id that the other instance made, which may be ahead while a clock has stepped back.
    """
    keys: set[str] = set()
    newest: dict[tuple[str, str], tuple[float, int]] = {}
    for call in sorted(ledger.calls, key=lambda call: call.at):
        if not call.key or call.key in keys:
            continue
        keys.add(call.key)
        is_fresh = call.ending == "ok" and call.attempt == 1 and call.status == _MADE
        if not is_fresh or call.request_id is None or call.at < since:
            continue
        answered_at, before = newest.get((call.instance, call.kind), (math.inf, 0))
        if call.at > answered_at and call.request_id.int < before:
            yield f"{call}: its id is smaller than one that was given before"
        if call.request_id.int >= before:
            newest[call.instance, call.kind] = (call.at + call.seconds, call.request_id.int)


@asynccontextmanager
async def apart(field: Field) -> AsyncIterator[None]:
    """One instance is ahead and the other behind while MySQL is away: whose word is later, no clock can say."""
    field.cluster.move_clock("a", _APART_SECONDS)
    field.cluster.move_clock("b", -_APART_SECONDS)
    await field.trouble("mysql", DOWN)
    field.begins()
    try:
        yield
    finally:
        await field.heal("mysql")


_clock = partial(
    Fault,
    victim="clock",
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
    _clock(number="F20f", title="two instances 4 minutes apart, MySQL refuses", around=apart, expects=FAILS_OVER),
)
