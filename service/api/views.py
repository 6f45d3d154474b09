"""Facts as callers see them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from service.api.schemas import AttemptView, MessageSent, MessageView, VerificationSent, VerificationView
from service.facts import Attempt, RequestState
from service.messages import MessageSending
from service.verifications import Sending


def verification_sent(sending: Sending) -> VerificationSent:
    """The answer to a verification that was sent."""
    request = sending.request
    return VerificationSent(
        id=request.id,
        status="pending",
        purpose=request.purpose,
        created_at=request.at,
        expires_at=request.expires_at or request.at,
        attempt=sending.sent.attempt,
        sent="accepted" if sending.sent.outcome == "accepted" else "unknown",
        resend_after_seconds=sending.resend_after_seconds,
    )


def verification_view(state: RequestState, *, checks_left: int, now: datetime) -> VerificationView:
    """A verification as it stands."""
    request = state.request
    return VerificationView(
        id=request.id,
        status=_verification_status(state, checks_left, now),
        purpose=request.purpose,
        template=request.template,
        country=request.country,
        created_at=request.at,
        expires_at=request.expires_at or request.at,
        approved_at=state.approval.at if state.approval else None,
        checks_left=checks_left,
        attempts=_attempts(state),
    )


def message_sent(sending: MessageSending) -> MessageSent:
    """The answer to a message that was sent."""
    return MessageSent(
        id=sending.request.id,
        status="accepted" if sending.sent.outcome == "accepted" else "unknown",
        category=sending.request.category,
        created_at=sending.request.at,
        attempt=sending.sent.attempt,
    )


def message_view(state: RequestState) -> MessageView:
    """A message as it stands."""
    request = state.request
    return MessageView(
        id=request.id,
        status=_message_status(state),
        category=request.category,
        purpose=request.purpose,
        template=request.template,
        country=request.country,
        created_at=request.at,
        converted_at=state.approval.at if state.approval else None,
        attempts=_attempts(state),
    )


def _verification_status(
    state: RequestState, checks_left: int, now: datetime
) -> Literal["pending", "approved", "expired", "too_many", "failed"]:
    if state.approval is not None:
        return "approved"
    if state.request.expires_at is None or now >= state.request.expires_at:
        return "expired"
    if checks_left == 0:
        return "too_many"
    return "failed" if _is_refused(state) else "pending"


def _message_status(state: RequestState) -> Literal["accepted", "delivered", "failed", "unknown"]:
    finals = {row.status for row in state.receipts if row.stage == "final"}
    if "delivered" in finals:
        return "delivered"
    if _is_refused(state) or "failed" in finals:
        return "failed"
    return "accepted" if any(row.outcome == "accepted" for row in state.outcomes) else "unknown"


def _is_refused(state: RequestState) -> bool:
    """Whether every attempt ended without a chance to arrive."""
    refused = {row.attempt for row in state.outcomes if row.outcome in ("rejected", "failed", "refused")}
    return bool(state.attempts) and refused == {row.attempt for row in state.attempts}


def _attempts(state: RequestState) -> list[AttemptView]:
    return [_attempt(state, row) for row in state.attempts]


def _attempt(state: RequestState, attempt: Attempt) -> AttemptView:
    outcome = next((row for row in state.outcomes if row.attempt == attempt.attempt), None)
    receipts = [row for row in state.receipts if row.attempt == attempt.attempt]
    last = max(receipts, key=lambda row: (row.stage == "final", row.at), default=None)
    return AttemptView(
        attempt=attempt.attempt,
        at=attempt.at,
        provider=attempt.provider,
        cause=attempt.cause,
        outcome=outcome.outcome if outcome else "unknown",
        error_class=(last.error_class if last else "") or (outcome.error_class if outcome else ""),
        receipt=last.status if last else "",
        latency_ms=outcome.latency_ms if outcome else 0,
    )
