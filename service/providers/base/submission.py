"""What a provider is asked to send, and how that ended, in the service's words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from core.events import ErrorClass, Outcome

WRONG_REFERENCE: Final = "wrong_reference"
"""Code of an answer that speaks of another message than the one submitted."""


@dataclass(frozen=True)
class Submission:
    """One message for one recipient. `number` is E.164; its `repr` shows neither number nor text.

    `reference` is `reference_of(request_id, attempt)`: the provider repeats it in each receipt.
    """

    reference: str
    number: str = field(repr=False)
    text: str = field(repr=False)
    country: str
    sender: str = ""


@dataclass(frozen=True)
class Answer:
    """How a submission ended. `unknown` may still arrive; `failed` never reached the provider's hands."""

    outcome: Outcome
    error_class: ErrorClass = ""
    error_code: str = ""
    provider_reference: str = ""
    latency_ms: int = 0
    segments: int = 1


@dataclass(frozen=True)
class HttpAnswer:
    """Status and body of a provider's answer: 2xx, or a 4xx that may say more in its body."""

    status: int
    body: bytes = field(repr=False)


class AnswerUnreadable(ValueError):
    """Raised by a vendor for an answer that is not its format, or that speaks of another message."""
