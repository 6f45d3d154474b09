"""What follows from facts, whichever store they lie in and in whatever order they came: one place, so that stores agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TypeVar

import msgspec

from core.events import CheckResult
from service.facts import (
    AnyFact,
    Approval,
    Attempt,
    AttemptOutcome,
    Check,
    DeliveryReceipt,
    Fact,
    OptOut,
    Request,
    RequestState,
)
from service.stores import Candidate, CheckOrder, CheckSubject, CheckVerdict, Earlier, SendSubject, Store

Kind = TypeVar("Kind", bound=Fact)

_TOLD_APART = timedelta(milliseconds=1)
"""The warehouse knows no shorter time."""


def assemble(request: Request, facts: Iterable[AnyFact]) -> RequestState:
    """The state of `request`; every kind in the order of its key. Facts of other kinds are passed over."""
    facts = list(facts)
    approvals = _sorted(facts, Approval)
    return RequestState(
        request=request,
        attempts=_sorted(facts, Attempt),
        outcomes=_sorted(facts, AttemptOutcome),
        receipts=_sorted(facts, DeliveryReceipt),
        checks=_sorted(facts, Check),
        approval=approvals[0] if approvals else None,
    )


def facts_of(state: RequestState) -> list[AnyFact]:
    """The facts that a state was derived from."""
    approval = [state.approval] if state.approval else []
    return [state.request, *state.attempts, *state.outcomes, *state.receipts, *state.checks, *approval]


def merge(first: RequestState | None, second: RequestState | None) -> RequestState | None:
    """What two stores know of one request together; where both have a key, the first is believed."""
    if first is None or second is None:
        return first or second
    facts = {(type(fact), fact.key): fact for fact in [*facts_of(second), *facts_of(first)]}
    return assemble(first.request, facts.values())


def with_told(state: RequestState | None, told: RequestState | None) -> RequestState | None:
    """A state in which no receipt contradicts those of `told`: others heard of these, and the store that `state` comes from may
    hold one that no caller was told of.
    """
    if state is None or told is None:
        return state
    heard = {receipt.key: receipt for receipt in told.receipts}
    receipts = [(ours, heard.get(ours.key, ours)) for ours in state.receipts]
    standing = tuple(as_standing(theirs, ours) if theirs.status != ours.status else ours for ours, theirs in receipts)
    return msgspec.structs.replace(state, receipts=standing)


def as_standing(told: DeliveryReceipt, ours: DeliveryReceipt) -> DeliveryReceipt:
    """A receipt that others were told of, beside ours, which says something else: dated before it. Ours may have come in first and
    waited; where both are known the earlier counts, and what is final would go back.
    """
    if told.status == ours.status or told.at < ours.at:
        return told
    return msgspec.structs.replace(told, at=ours.at - _TOLD_APART)


def is_living(state: RequestState, now: datetime) -> bool:
    """A verification that can still be approved."""
    expires_at = state.request.expires_at
    return expires_at is not None and expires_at > now and state.approval is None


def candidate_of(state: RequestState) -> Candidate:
    """A verification that is known."""
    return Candidate(
        request_id=state.request.id,
        expires_at=state.request.expires_at or state.request.at,
        attempts=tuple(row.attempt for row in state.attempts),
        state=state,
    )


async def known_candidates(store: Store, subject: CheckSubject) -> Sequence[Candidate]:
    """What a store that can be asked says to a subject."""
    if subject.request_id is not None:
        state = await store.brief(subject.request_id)
    else:
        state = await store.living(
            app=subject.app, phone_hash=subject.phone_hash, purpose=subject.purpose, now=subject.now
        )
    if state is None or state.request.app != subject.app or state.request.kind != "verification":
        return ()
    return (candidate_of(state),)


async def earlier_by_parts(store: Store, subject: SendSubject) -> Earlier:
    """What a store that is asked one thing after the other says to a subject."""
    living = await store.living(
        app=subject.app, phone_hash=subject.phone_hash, purpose=subject.purpose, now=subject.now
    )
    sends = await store.sends_since(phone_hash=subject.phone_hash, category="code", since=subject.since)
    return Earlier(living=living, sends=sends)


def newest(states: Iterable[RequestState]) -> RequestState | None:
    """The one whose request was made last; of two in the same moment, the one with the greater id."""
    return max(states, key=lambda state: (state.request.at, state.request.id.int), default=None)


def latest_word(words: Iterable[OptOut]) -> OptOut | None:
    """The word that counts. Of two in the same moment `stop` counts: the mistake that bothers nobody."""
    return max(words, key=lambda word: (word.at, word.keyword == "stop"), default=None)


def next_verdict(order: CheckOrder, *, counted: int, last: int, approved: bool) -> CheckVerdict:
    """What becomes of a check, when `counted` were counted before it, up to number `last`."""
    left = max(order.checks_max - counted, 0)
    if approved:
        return CheckVerdict(check=0, result="already_approved", checks_left=left)
    if left == 0:
        return CheckVerdict(check=0, result="too_many", checks_left=0)
    right: CheckResult = "approved" if order.attempt else "wrong"
    return CheckVerdict(check=last + 1, result="expired" if order.expired else right, checks_left=left - 1)


def verdict_before(order: CheckOrder, check: Check, *, counted: int) -> CheckVerdict:
    """What was decided of a check that is kept, when `counted` are counted by now."""
    return CheckVerdict(check=check.check, result=check.result, checks_left=max(order.checks_max - counted, 0))


def facts_of_verdict(order: CheckOrder, verdict: CheckVerdict) -> list[Check | Approval]:
    """The facts that a counted check leaves behind; none when it was not counted."""
    if not verdict.check:
        return []
    check = Check(
        request_id=order.request_id,
        check=verdict.check,
        at=order.at,
        attempt=order.attempt,
        result=verdict.result,
    )
    if verdict.result != "approved":
        return [check]
    approval = Approval(request_id=order.request_id, at=order.at, check=verdict.check, attempt=order.attempt)
    return [check, approval]


def _sorted(facts: Iterable[AnyFact], kind: type[Kind]) -> tuple[Kind, ...]:
    return tuple(sorted((fact for fact in facts if isinstance(fact, kind)), key=attrgetter("key")))
