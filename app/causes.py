"""Why an attempt came no further, in words: the steps of the funnel and what is behind a loss at each."""

from __future__ import annotations

from collections.abc import Mapping

STEP_TITLES: Mapping[str, str] = {
    "submitted": "Submitted",
    "accepted": "Accepted",
    "received": "Receipt came",
    "delivered": "Delivered",
    "filled": "Code entered",
    "approved": "Approved",
}

STEP_MEANINGS: Mapping[str, str] = {
    "submitted": "Code attempts handed to a provider.",
    "accepted": "The provider's answer took it.",
    "received": "A final receipt came, good or bad.",
    "delivered": "The receipt says delivered.",
    "filled": "The attempt's own code was entered.",
    "approved": "Its verification succeeded.",
}

LOSS_TITLES: Mapping[str, str] = {
    "accepted": "not accepted",
    "received": "no receipt",
    "delivered": "not delivered",
    "filled": "not entered",
    "approved": "not approved",
}

ERROR_CLASSES: Mapping[str, str] = {
    "": "no reason given",
    "handset": "handset off, out of reach or full",
    "number": "number does not exist or takes no messages",
    "blocked": "sender, content or template filtered",
    "opted_out": "subscriber wants no messages",
    "throttled": "too many messages",
    "account": "our credentials, balance or rights there",
    "route": "the way to the carrier, or the carrier",
    "provider": "the provider's own fault",
    "expired": "validity passed before delivery",
    "timeout": "no answer in time; may still arrive",
    "unknown": "a code without a meaning known to us",
}

_WHATS: Mapping[str, str] = {
    "rejected": "Rejected by the provider",
    "failed": "Failed",
    "unknown": "No answer in time",
    "waiting": "No final receipt yet (less than an hour)",
    "silent": "No final receipt after an hour",
    "other_attempt": "Another attempt's code was entered",
    "not_entered": "Delivered, and nobody entered it",
    "not_approved": "Entered too late or after too many tries",
}


def cause(what: str, error_class: str) -> str:
    """A cause as a reader meets it."""
    told = _WHATS.get(what, what)
    reason = ERROR_CLASSES.get(error_class, error_class)
    return f"{told}: {reason}" if what in ("rejected", "failed") else told
