"""What each fault is called, and what an operator does about it: the same words in mail, chat and dashboard."""

from __future__ import annotations

from collections.abc import Mapping

from metrics.detection.incidents import Kind, Scope

NAMES: Mapping[Kind, str] = {
    "provider-outage": "Provider outage",
    "receipts-stop": "Receipt feed broken",
    "black-hole": "Black hole",
    "template-blocked": "Template blocked",
    "delivery-drop": "Delivery drop",
    "slow-channel": "Slow channel",
    "fake-receipts": "Fake receipts",
    "pumping": "Pumping attack",
    "verification-broken": "Verification broken",
    "data-stopped": "No data",
}

STEPS: Mapping[Kind, tuple[str, ...]] = {
    "provider-outage": (
        "Look at the codes below: account, balance and rights are yours to mend, the rest is the provider's.",
        "Lower its weight in [[providers]], so that traffic goes to the others, and tell its support.",
    ),
    "receipts-stop": (
        "Messages arrive: do not move traffic for this alone.",
        "Check that the provider's pushes reach /v1/receipts (address, signature, firewall), then ask its support to push again.",
    ),
    "black-hole": (
        "Move this traffic to another provider now: lower the weight of this one in [[providers]].",
        "Give the provider's support the time it began and a few message ids from the dashboard.",
    ),
    "template-blocked": (
        "Send with another template, or have the provider register the text and the sender.",
        "Compare with the other templates on the dashboard: they are normal when only this one is filtered.",
    ),
    "delivery-drop": (
        "Move this traffic to a provider that is normal there: lower the weight of this one in [[providers]].",
        "Send the provider's support the leading code, the carrier and the time it began.",
    ),
    "slow-channel": (
        "Compare other providers to the same carrier; move time-critical codes to one that is fast.",
        "Ask the provider about its queue to this carrier.",
    ),
    "fake-receipts": (
        "Receipts of this route cannot be believed: move its traffic to another provider.",
        "Send test messages to handsets of your own over it, and take the result to the provider.",
    ),
    "pumping": (
        "Lower the caps for this range or country, or stop it, before the bill grows: see [limits] in the settings.",
        "Look which app the requests come from, and put a challenge before its send button.",
    ),
    "verification-broken": (
        "Look at what was deployed or changed last: `code.secret` has to be the same on all instances.",
        "`heliograph failover status` shows whether the stores agree.",
    ),
    "data-stopped": ("Look at ingester, queue and warehouse, in this order.",),
}

_EVERY_PROVIDER: tuple[str, ...] = (
    "No provider stands out there: moving traffic between them will not mend it.",
    "Ask the support of two of them whether the carrier has told of a disturbance.",
    "Offer the people concerned another way in until it is over: a call, a mail, an app.",
)
_MOVES_TRAFFIC: frozenset[Kind] = frozenset({"delivery-drop", "black-hole", "slow-channel"})


def steps(kind: Kind, scope: Scope) -> tuple[str, ...]:
    """What to do about a fault of this kind there: traffic can be moved only away from providers."""
    return _EVERY_PROVIDER if kind in _MOVES_TRAFFIC and "provider" not in scope else STEPS[kind]
