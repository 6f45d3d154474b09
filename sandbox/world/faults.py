"""What can be broken in the simulated world: named faults, each with a scope and an effect that can be watched.

A fault touches only what its scope names; an empty part of the scope means all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

FaultKind = Literal[
    "carrier-drop",
    "provider-outage",
    "receipts-stop",
    "black-hole",
    "slow-channel",
    "template-blocked",
    "fake-receipts",
    "pumping",
    "verification-broken",
]

DENIED = 0.7
"""Share of right codes that are called wrong while an app's verification is broken."""


@dataclass(frozen=True)
class Fault:
    """One thing that is broken from `start` until `end` (half-open; None: until further notice)."""

    kind: FaultKind
    start: datetime
    end: datetime | None = None
    provider: str = ""
    carrier: str = ""
    country: str = ""
    region: str = ""
    template: str = ""
    app: str = ""  # only of a broken verification: providers do not know whose message they carry

    def active(self, at: datetime) -> bool:
        """Whether it is broken at that moment."""
        return self.start <= at and (self.end is None or at < self.end)

    def covers(self, *, provider: str, carrier: str, country: str, region: str, template: str) -> bool:
        """Whether its scope holds such a message."""
        pairs = (
            (self.provider, provider),
            (self.carrier, carrier),
            (self.country, country),
            (self.region, region),
            (self.template, template),
        )
        return all(not scope or scope == value for scope, value in pairs)

    def denied(self, app: str) -> float:
        """Share of this app's right codes that are called wrong."""
        return DENIED if self.kind == "verification-broken" and self.app in ("", app) else 0.0


@dataclass(frozen=True)
class NamedFault:
    """A fault that a person can ask for, with the sentence that says what will be seen."""

    fault: Fault
    summary: str


_ALWAYS = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

NAMED_FAULTS: Mapping[str, NamedFault] = {
    "carrier-drop": NamedFault(
        Fault("carrier-drop", _ALWAYS, country="CN", carrier="China Unicom"),
        "two in three messages to China Unicom are lost, whoever carries them",
    ),
    "provider-outage": NamedFault(
        Fault("provider-outage", _ALWAYS, provider="aurora"),
        "aurora answers with errors or not at all; the others take over",
    ),
    "receipts-stop": NamedFault(
        Fault("receipts-stop", _ALWAYS, provider="beacon"),
        "beacon delivers but tells nothing: no receipt arrives, codes are entered as ever",
    ),
    "black-hole": NamedFault(
        Fault("black-hole", _ALWAYS, provider="cumulus", country="US"),
        "cumulus accepts messages to the United States that nobody gets and no receipt tells of",
    ),
    "slow-channel": NamedFault(
        Fault("slow-channel", _ALWAYS, provider="delta", country="BR"),
        "messages that delta carries to Brazil take fifteen times as long",
    ),
    "template-blocked": NamedFault(
        Fault("template-blocked", _ALWAYS, country="CN", carrier="China Mobile", template="code-branded"),
        "China Mobile filters the text code-branded",
    ),
    "fake-receipts": NamedFault(
        Fault("fake-receipts", _ALWAYS, provider="delta", country="IN"),
        "delta reports messages to India as delivered that nobody gets",
    ),
    "pumping": NamedFault(
        Fault("pumping", _ALWAYS, country="ID", carrier="Smartfren"),
        "a machine asks for eight times the usual codes to Smartfren in Indonesia and enters none",
    ),
    "verification-broken": NamedFault(
        Fault("verification-broken", _ALWAYS, app="shop"),
        "a release of the app shop spoils the codes people enter: seven in ten right ones are called wrong",
    ),
}


def named_fault(name: str, *, start: datetime, end: datetime | None = None) -> Fault:
    """The fault of that name in its usual scope. Raises `KeyError` for a name that is not in `NAMED_FAULTS`."""
    return replace(NAMED_FAULTS[name].fault, start=start, end=end)
