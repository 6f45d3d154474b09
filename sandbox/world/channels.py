"""How well each provider carries messages to each carrier: the tables of the simulated world, and what faults do to them.

Figures are made up, but of believable size; nothing here is measured at a real provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b

from core.events import ErrorClass
from sandbox.world.faults import Fault

PROVIDERS = ("aurora", "beacon", "cumulus", "delta")

PROVIDER_WEIGHTS: Mapping[str, float] = {"aurora": 0.34, "beacon": 0.28, "cumulus": 0.23, "delta": 0.15}
"""How the service is to share the traffic between them (`weight` in `[[providers]]`)."""

REFUSALS: tuple[ErrorClass, ...] = ("number", "blocked", "throttled", "account")
"""Why a provider says no at once; `Channel.refusal_mix` follows this order."""

FAILURES: tuple[ErrorClass, ...] = (
    "handset",
    "number",
    "blocked",
    "opted_out",
    "throttled",
    "route",
    "expired",
    "unknown",
)
"""Why a message that was accepted is not delivered; `Channel.failure_mix` follows this order."""


@dataclass(frozen=True)
class Channel:
    """One provider's way to one carrier with one text. Shares are 0 to 1; of the answer they sum to 1 with acceptance.

    Delays are lognormal: median and sigma. Fields from `delivered` on speak of accepted messages.
    """

    rejected: float
    broken: float  # an error of the provider's own instead of an answer
    unanswered: float
    refusal_mix: tuple[float, ...]
    answer_seconds: float
    answer_sigma: float
    delivered: float
    failed: float  # what is neither delivered nor failed stays without a final receipt
    failure_mix: tuple[float, ...]
    transit_seconds: float
    transit_sigma: float
    late: float  # share that takes minutes to hours longer
    arrives: float  # share of "delivered" that a handset really shows
    silent_arrives: float  # the same of those without a final receipt
    told: float  # share of receipts that reach us
    pending: float  # share with an interim receipt
    duplicate: float
    early: float  # share whose receipt comes before the answer
    names_carrier: float


_REFUSAL_MIX = (0.55, 0.15, 0.22, 0.08)
_FAILURE_MIX = (0.46, 0.20, 0.10, 0.05, 0.03, 0.09, 0.05, 0.02)

_PROVIDERS: Mapping[str, Channel] = {
    # the dear one: good nearly everywhere, names the carrier
    "aurora": Channel(
        rejected=0.007, broken=0.002, unanswered=0.001, refusal_mix=_REFUSAL_MIX, answer_seconds=0.14, answer_sigma=0.45,
        delivered=0.957, failed=0.030, failure_mix=_FAILURE_MIX, transit_seconds=3.1, transit_sigma=0.75, late=0.008,
        arrives=0.996, silent_arrives=0.55, told=1.0, pending=0.0, duplicate=0.010, early=0.0, names_carrier=0.97,
    ),
    # the cheap one: interim receipts, a heavier tail
    "beacon": Channel(
        rejected=0.011, broken=0.004, unanswered=0.002, refusal_mix=_REFUSAL_MIX, answer_seconds=0.22, answer_sigma=0.60,
        delivered=0.940, failed=0.038, failure_mix=_FAILURE_MIX, transit_seconds=4.4, transit_sigma=0.90, late=0.015,
        arrives=0.993, silent_arrives=0.50, told=1.0, pending=0.35, duplicate=0.008, early=0.0, names_carrier=0.0,
    ),
    # the quick one: its receipts may overtake its answers
    "cumulus": Channel(
        rejected=0.009, broken=0.003, unanswered=0.001, refusal_mix=_REFUSAL_MIX, answer_seconds=0.31, answer_sigma=0.70,
        delivered=0.949, failed=0.034, failure_mix=_FAILURE_MIX, transit_seconds=2.6, transit_sigma=0.80, late=0.010,
        arrives=0.995, silent_arrives=0.55, told=1.0, pending=0.0, duplicate=0.010, early=0.04, names_carrier=0.0,
    ),
    # the regional one: slow, repeats itself, knows Brazil, Indonesia and Nigeria
    "delta": Channel(
        rejected=0.014, broken=0.005, unanswered=0.003, refusal_mix=_REFUSAL_MIX, answer_seconds=0.38, answer_sigma=0.55,
        delivered=0.936, failed=0.040, failure_mix=_FAILURE_MIX, transit_seconds=6.2, transit_sigma=0.95, late=0.018,
        arrives=0.992, silent_arrives=0.50, told=1.0, pending=0.15, duplicate=0.025, early=0.0, names_carrier=0.60,
    ),
}  # fmt: skip

_LOST_MORE: Mapping[str, Mapping[str, float]] = {
    # factor on what is not delivered, by provider and country
    "aurora": {"CN": 1.1, "US": 0.8, "GB": 0.7, "DE": 0.7, "IN": 1.6, "BR": 1.5, "ID": 1.8, "NG": 2.6},
    "beacon": {"CN": 0.7, "US": 1.4, "GB": 1.5, "DE": 1.6, "IN": 1.0, "BR": 1.9, "ID": 1.5, "NG": 2.4},
    "cumulus": {"CN": 1.5, "US": 0.6, "GB": 0.6, "DE": 0.7, "IN": 1.7, "BR": 1.4, "ID": 1.9, "NG": 3.0},
    "delta": {"CN": 1.6, "US": 1.5, "GB": 1.4, "DE": 1.3, "IN": 1.4, "BR": 0.7, "ID": 0.8, "NG": 1.5},
}
_SLOWER: Mapping[str, float] = {
    "CN": 0.9, "US": 0.9, "GB": 0.8, "DE": 0.9, "IN": 1.5, "BR": 1.4, "ID": 1.6, "NG": 2.2,
}  # fmt: skip
_LOST_MORE_BY_CARRIER: Mapping[str, float] = {"BSNL MOBILE": 1.8, "Smartfren": 1.5, "9mobile": 1.5, "Eplus": 1.2}
_LOST_MORE_BY_TEMPLATE: Mapping[str, float] = {"code-branded": 1.08, "weekend-offer": 1.9, "parcel-arriving": 1.1}


@cache
def channel(provider: str, *, country: str, carrier: str, region: str, template: str) -> Channel:
    """The channel on a good day; a provider or a place that the world does not know is a `KeyError`."""
    base = _PROVIDERS[provider]
    lost_more = (
        _LOST_MORE[provider][country]
        * _LOST_MORE_BY_CARRIER.get(carrier, 1.0)
        * _LOST_MORE_BY_TEMPLATE.get(template, 1.0)
        * _own_touch(provider, country, carrier)
        * _own_touch(region, width=0.1)
    )
    lost = min(0.6, (1 - base.delivered) * lost_more)
    return replace(
        base,
        delivered=1 - lost,
        failed=lost * base.failed / (1 - base.delivered),
        transit_seconds=base.transit_seconds * _SLOWER[country] * _own_touch(carrier, provider),
    )


def broken_channel(healthy: Channel, fault: Fault) -> Channel:
    """What the fault makes of a channel in its scope."""
    match fault.kind:
        case "carrier-drop":
            return _losing(healthy, kept=0.35, failure="route")
        case "provider-outage":
            return replace(healthy, rejected=0.02, broken=0.58, unanswered=0.30)
        case "receipts-stop":
            return replace(healthy, told=0.0)
        case "black-hole":
            return replace(healthy, told=0.0, arrives=0.0, silent_arrives=0.0)
        case "slow-channel":
            return replace(healthy, transit_seconds=healthy.transit_seconds * 15)
        case "template-blocked":
            return _losing(healthy, kept=0.12, failure="blocked")
        case "fake-receipts":
            return replace(healthy, delivered=0.985, failed=0.005, transit_seconds=1.5, transit_sigma=0.4, arrives=0.06)
        case "pumping" | "verification-broken":
            return healthy  # what changes is who asks, or what our own check says


def _losing(healthy: Channel, *, kept: float, failure: ErrorClass) -> Channel:
    """Of what was delivered only `kept` still is; two thirds of the loss is told, as `failure`."""
    lost = healthy.delivered * (1 - kept)
    told = lost * 2 / 3
    failed = healthy.failed + told
    mix = tuple(
        (share * healthy.failed + (told if name == failure else 0.0)) / failed
        for name, share in zip(FAILURES, healthy.failure_mix, strict=True)
    )
    return replace(healthy, delivered=healthy.delivered * kept, failed=failed, failure_mix=mix, silent_arrives=0.05)


def _own_touch(*names: str, width: float = 0.25) -> float:
    """A factor around 1 that belongs to these names for ever: no two channels are quite alike."""
    drawn = int.from_bytes(blake2b("/".join(names).encode(), digest_size=4).digest()) / 2**32
    return 1 + width * (2 * drawn - 1)
