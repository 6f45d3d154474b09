"""The facts the service writes: insert-only, each with a natural key. State is derived from them, never updated.

Writing a fact twice is a no-op, and facts may arrive in any order: replaying a journal, merging two stores and
re-delivering a queue need nothing else. No fact holds a number or a code.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from core.events import Category, Cause, CheckResult, ErrorClass, Keyword, Outcome, ReceiptStatus

OWN_APP = "heliograph"
"""The app of claims that instances of the service make for each other; no key can be made for it."""


@cache
def _key_of(fields: tuple[str, ...]) -> Callable[[Fact], tuple[object, ...]]:
    """A key is asked for several times a fact on its way; a loop over the names takes twice as long."""
    if len(fields) == 1:
        only = attrgetter(*fields)
        return lambda fact: (only(fact),)
    return attrgetter(*fields)


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="fact", gc=False):
    """One row. `key_fields` are the primary key of its table. No field can hold a cycle, so collections pass facts by."""

    key_fields: ClassVar[tuple[str, ...]]

    @property
    def key(self) -> tuple[object, ...]:
        return _key_of(self.key_fields)(self)


class Request(Fact, tag="request", frozen=True, kw_only=True):
    """One accepted call to send to one recipient. `expires_at` is set for verifications."""

    key_fields = ("id",)

    id: UUID
    at: datetime
    kind: Literal["verification", "message"]
    category: Category
    app: str
    purpose: str
    template: str
    locale: str
    phone_hash: str
    country: str
    region: str
    carrier: str
    expires_at: datetime | None = None


class Attempt(Fact, tag="attempt", frozen=True, kw_only=True):
    """One submission to one provider, written before it is made. `phone_hash` and `category` are here too: limits count
    by them. What an older version kept has no category, and counts as a code."""

    key_fields = ("request_id", "attempt")

    request_id: UUID
    attempt: int
    at: datetime
    provider: str
    cause: Cause
    phone_hash: str
    category: Category = "code"

    @property
    def was_asked_for(self) -> bool:
        """It counts as a send to its number. One that stands in for an attempt that failed does not: a provider's outage
        must not lock out whoever waits for a code."""
        return self.cause != "failover"


class AttemptOutcome(Fact, tag="outcome", frozen=True, kw_only=True):
    """What the provider answered, or that it did not."""

    key_fields = ("request_id", "attempt")

    request_id: UUID
    attempt: int
    at: datetime
    outcome: Outcome
    error_class: ErrorClass = ""
    error_code: str = ""
    provider_reference: str = ""
    latency_ms: int = 0
    segments: int = 1


class DeliveryReceipt(Fact, tag="receipt", frozen=True, kw_only=True):
    """One receipt. `stage` is "final" for delivered and failed, so that only the first final one is ever kept, and
    "interim:" with the raw status for the others."""

    key_fields = ("request_id", "attempt", "stage")

    request_id: UUID
    attempt: int
    stage: str
    at: datetime
    provider: str
    status: ReceiptStatus
    error_class: ErrorClass = ""
    raw_status: str = ""
    raw_code: str = ""
    carrier: str = ""
    provider_at: datetime | None = None


class Check(Fact, tag="check", frozen=True, kw_only=True):
    """One try to verify. `attempt` is the attempt whose code was entered, 0 when nobody's."""

    key_fields = ("request_id", "check")

    request_id: UUID
    check: int
    at: datetime
    attempt: int
    result: CheckResult
    source: Literal["check", "conversion"] = "check"


class Approval(Fact, tag="approval", frozen=True, kw_only=True):
    """The verification succeeded. Approved once is this primary key."""

    key_fields = ("request_id",)

    request_id: UUID
    at: datetime
    check: int
    attempt: int


class InboundMessage(Fact, tag="inbound", frozen=True, kw_only=True):
    """A message from a handset, without its text."""

    key_fields = ("provider", "message_hash")

    provider: str
    message_hash: str
    phone_hash: str
    at: datetime
    keyword: Keyword


class OptOut(Fact, tag="opt_out", frozen=True, kw_only=True):
    """The subscriber wants no messages (`stop`), or wants them again (`start`). The latest `at` counts.

    Its key is the message that said so: pushed again later, a `stop` must not count as later than a `start` between.
    """

    key_fields = ("phone_hash", "message_hash")

    phone_hash: str
    message_hash: str
    at: datetime
    keyword: Literal["stop", "start"]


class EncryptedNumber(Fact, tag="encrypted_number", frozen=True, kw_only=True):
    """The number of a request as the encryption service returned it."""

    key_fields = ("request_id",)

    request_id: UUID
    at: datetime
    key_id: str
    ciphertext: bytes


FOLLOWS = "."
"""What comes behind the name of an Idempotency-Key whose time is over, to name the one that follows."""


class IdempotencyClaim(Fact, tag="idempotency_claim", frozen=True, kw_only=True):
    """A caller's Idempotency-Key was taken for a call with this fingerprint, which got this request id."""

    key_fields = ("app", "idempotency_key")

    app: str
    idempotency_key: str
    at: datetime
    fingerprint: str
    request_id: UUID


class IdempotencyAnswer(Fact, tag="idempotency_answer", frozen=True, kw_only=True):
    """The first answer to that call, given again whenever the key comes again."""

    key_fields = ("app", "idempotency_key")

    app: str
    idempotency_key: str
    at: datetime
    status: int
    body: bytes


class ApiKey(Fact, tag="api_key", frozen=True, kw_only=True):
    """An API key, hashed. `scopes` is a comma-separated subset of send, read, operate."""

    key_fields = ("key_hash",)

    key_hash: str
    at: datetime
    app: str
    label: str
    scopes: str


class ApiKeyRevocation(Fact, tag="api_key_revocation", frozen=True, kw_only=True):
    """The key counts no longer."""

    key_fields = ("key_hash",)

    key_hash: str
    at: datetime


AnyFact = (
    Request
    | Attempt
    | AttemptOutcome
    | DeliveryReceipt
    | Check
    | Approval
    | InboundMessage
    | OptOut
    | EncryptedNumber
    | IdempotencyClaim
    | IdempotencyAnswer
    | ApiKey
    | ApiKeyRevocation
)


class RequestState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of one request, derived from its facts.

    `closed` while no store can be asked and the request was begun before that: another instance may add an attempt with
    the same number to it, so none is added.
    """

    request: Request
    attempts: tuple[Attempt, ...] = ()
    outcomes: tuple[AttemptOutcome, ...] = ()
    receipts: tuple[DeliveryReceipt, ...] = ()
    checks: tuple[Check, ...] = ()
    approval: Approval | None = None
    closed: bool = False
