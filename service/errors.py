"""Errors that only the service raises; they continue the tree drawn in `core/errors.py`.

BadInput
├── ForgedReceipt             a receipt or an inbound message whose signature is not its provider's
├── ReceiptUnreadable         a body of which not one row can be told from another
├── AddressUnreadable         a client_address that is no network address
├── VariablesMissing          the template has places that nobody filled
├── TextUnusable              neither or both of text and template, or a text that cannot be sent
├── NoRoute                   no provider serves the number's country
├── OptedOut                  the subscriber said STOP
├── NumberRefused             a provider says that the number cannot receive messages
├── UnknownRequest            no request of this caller has this id
├── NotConvertible            feedback on a message that carries no code of the sender's own
├── KeyRefused                no key, or one that does not count
├── ScopeMissing              the key is good, and may not do this
├── KeyReused                 the Idempotency-Key of another call
└── CallInFlight              the first call with this Idempotency-Key is not done
HeliographError
├── NotSent                   every provider that was tried refused
└── Wait                      not now: again after `retry_after_seconds`
    ├── CoolingDown               the last message is too recent
    ├── TooManySends              the number, or what it is counted with, had its share
    └── TooManyChecks             the verification was checked too often
"""

from __future__ import annotations

from uuid import UUID

from core.errors import BadInput, HeliographError
from core.events import ErrorClass


class ForgedReceipt(BadInput):
    """The signature is missing, wrong or too old; nothing of the body was believed."""


class ReceiptUnreadable(BadInput):
    """The whole body is not in the provider's format: too large, not UTF-8, or not its shape."""


class AddressUnreadable(BadInput):
    """The `client_address` of a call is no IPv4 or IPv6 address."""


class VariablesMissing(BadInput):
    """The template has places that nobody filled; the message names them."""


class TextUnusable(BadInput):
    """Neither or both of text and template, or a text that cannot be sent."""


class NoRoute(BadInput):
    """No provider serves the number's country."""


class OptedOut(BadInput):
    """The subscriber said STOP and wants no messages of this category."""


class NumberRefused(BadInput):
    """A provider says that the number cannot receive messages, and another would say the same."""

    def __init__(self, request_id: UUID, error_class: ErrorClass) -> None:
        super().__init__("the provider says that this number cannot receive messages")
        self.request_id = request_id
        self.error_class = error_class


class UnknownRequest(BadInput):
    """No request of this caller has this id."""


class NotConvertible(BadInput):
    """Feedback on a message that carries no code of the sender's own."""


class KeyRefused(BadInput):
    """No API key, or one that does not count."""


class ScopeMissing(BadInput):
    """The key is good, and may not do this."""


class KeyReused(BadInput):
    """The Idempotency-Key was used for a call with another path or body."""


class CallInFlight(BadInput):
    """The first call with this Idempotency-Key has no answer yet."""

    def __init__(self, message: str, *, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NotSent(HeliographError):
    """Every provider that was tried refused. What happened is kept as facts under `request_id`."""

    def __init__(self, request_id: UUID, error_class: ErrorClass) -> None:
        super().__init__("no provider took the message", hint="try again; another attempt may find a provider")
        self.request_id = request_id
        self.error_class = error_class


class Wait(HeliographError):
    """Not now."""

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class CoolingDown(Wait):
    """The last message to this number is too recent."""


class TooManySends(Wait):
    """The number, its range, its country, the app or the asker's network address had its share of messages."""


class TooManyChecks(Wait):
    """The verification was checked too often; it cannot be approved any more."""
