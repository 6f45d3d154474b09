"""F21: what providers push comes twice, late, in any order or from somebody else; and a hundred calls want the same thing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID, uuid4

from core.events import ReceiptStatus
from sandbox.chaos.ledger import Attempt, Call
from sandbox.chaos.nemesis import Fault, Field
from sandbox.providers import VENDORS
from sandbox.providers.vendor import Order, Vendor
from sandbox.world import PlannedReceipt
from service.providers.base.references import reference_of

AT_ONCE = 100
_TEXTS_MAX = 3
_ATTEMPTS = 30
_REFUSED = (401, 403)


@asynccontextmanager
async def one_code_checked_at_once(field: Field) -> AsyncIterator[None]:
    """One right code, entered a hundred times in the same moment through both instances."""
    if (sent := await a_code(field)) is not None:
        await check_at_once(field, *sent)
    yield


async def a_code(field: Field) -> tuple[UUID, str] | None:
    """A verification and its code. None when that never came, which is noted."""
    load, (here, _) = field.load, field.load.both()
    number = load.new_number()
    with load.handsets.watch(number) as inbox:
        for _ in range(_TEXTS_MAX):  # now and then a handset is off
            sent, _ = await load.call("verify", here, "/v1/verifications", {"to": number, "purpose": "login"})
            if (code := await load.text(inbox)) is not None and sent.request_id is not None:
                return sent.request_id, code
    field.fail("I8", "the code that was to be checked never came")
    return None


async def check_at_once(field: Field, verification: UUID, code: str) -> None:
    """Enter a right code a hundred times in the same moment through both instances."""
    both = field.load.both()
    checks = [field.load.check(both[i % 2], verification, code, is_right=True) for i in range(AT_ONCE)]
    calls = await asyncio.gather(*checks)
    approved, silent = sum(call.result == "approved" for call in calls), sum(map(_had_no_answer, calls))
    field.note(f"{AT_ONCE} checks of one code: {approved} approved, {silent} without an answer")
    if approved > 1 or not (approved or silent):
        field.fail("I2", f"verification {verification}: {approved} of {AT_ONCE} checks at once were approved")


@asynccontextmanager
async def one_key_sent_at_once(field: Field) -> AsyncIterator[None]:
    """One Idempotency-Key, a hundred calls in the same moment through both instances: one SMS."""
    load, (here, there) = field.load, field.load.both()
    number, key = load.new_number(), uuid4().hex
    order = {"to": number, "purpose": "login"}
    calls = [
        load.call("verify", (here, there)[i % 2], "/v1/verifications", order, key=key, intended=(409,))
        for i in range(AT_ONCE)
    ]
    answered = [call for call, _ in await asyncio.gather(*calls)]
    await asyncio.sleep(2.0)
    ids = {call.request_id for call in answered if call.request_id is not None and call.ending == "ok"}
    messages = sum(load.messages_of(request_id) for request_id in ids)
    waiting, silent = sum(call.status == 409 for call in answered), sum(map(_had_no_answer, answered))
    field.note(
        f"{AT_ONCE} sends with one key: {len(ids)} verification, {messages} message, {waiting} told to wait, "
        f"{silent} without an answer"
    )
    if max(len(ids), messages) > 1 or not (ids or silent):
        field.fail("I3", f"{AT_ONCE} sends with one key made {len(ids)} verifications and {messages} messages")
    yield


@asynccontextmanager
async def receipts_astray(field: Field) -> AsyncIterator[None]:
    """Receipts that say the opposite, come again or too late for attempts that have their final one; and forged ones."""
    attempts = await _final_attempts(field)
    forged = [await _push(field, attempt, ["failed"], secret="a secret that only a forger has") for attempt in attempts]
    if taken := sum(status not in _REFUSED for status in forged):
        field.fail("I4", f"{taken} of {len(forged)} forged receipts were not refused")
    again: list[ReceiptStatus] = ["failed", "pending", "delivered"]
    for attempt in attempts:
        statuses = [again[int(place)] for place in field.rng.permutation(len(again))]
        await _push(field, attempt, [*statuses, *statuses])
    field.note(f"{len(forged)} forged receipts, {len(attempts) * 6} that came late, twice or in the wrong order")
    yield


def _had_no_answer(call: Call) -> bool:
    return call.ending == "unknown"


async def _final_attempts(field: Field) -> list[Attempt]:
    """Attempts of which the API says that they are final."""
    for _ in range(100):
        if len(field.load.ledger.finals) >= _ATTEMPTS:
            break
        await asyncio.sleep(0.1)
    return list(field.load.ledger.finals)[-_ATTEMPTS:]


async def _push(field: Field, attempt: Attempt, statuses: Sequence[ReceiptStatus], *, secret: str = "") -> int:
    """Push receipts of an attempt as its provider would; with another secret, as a forger would. The HTTP status."""
    request_id, number = attempt
    reference = reference_of(UUID(str(request_id)), number)
    asked = {name for name, simulator in field.load.simulators.items() if reference in simulator.counts()}
    stand = next(row for row in field.cluster.stack.stands if row.kind in asked)
    vendor: Vendor = VENDORS[stand.kind](
        account=stand.account, secret=secret or stand.secret, clock=field.cluster.clock, rng=field.rng
    )
    order = Order(reference=reference, number="", text="")
    status = 0
    for told in statuses:
        planned = PlannedReceipt(0.0, told, "handset" if told == "failed" else "")
        body = vendor.body([vendor.receipt(order, planned, field.cluster.clock())])
        path = f"/v1/receipts/{stand.kind}"
        status = await field.load.push(path, body, vendor.sign(path, body), intended=_REFUSED if secret else ())
    return status


_race = partial(Fault, victim="callers")

FAULTS = (
    _race(number="F21a", title="100 checks of one code at once", around=one_code_checked_at_once, seconds=4.0),
    _race(number="F21b", title="100 sends with one key at once", around=one_key_sent_at_once, seconds=4.0),
    _race(number="F21c", title="receipts twice, late, reordered, forged", around=receipts_astray, seconds=6.0),
)
