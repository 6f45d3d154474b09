"""What detection tells: incidents, and the notices of what became of them. Plain values, with the words a person reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal, get_args

from core.words import percent

Kind = Literal[
    "provider-outage",
    "receipts-stop",
    "black-hole",
    "template-blocked",
    "delivery-drop",
    "slow-channel",
    "fake-receipts",
    "pumping",
    "verification-broken",
    "data-stopped",
]
"""The names of faults. `data-stopped` is about us: nothing reaches the warehouse, so nothing can be judged."""

Channel = Literal["accepted", "receipts", "delivered", "filled", "right", "delay", "data"]
"""What moved: accepted/submitted, receipts/accepted, delivered/accepted, fills/accepted codes, right/first checks, delays."""

State = Literal["open", "resolved"]
Event = Literal["opened", "updated", "resolved", "reopened"]
Scope = Mapping[str, tuple[str, ...]]
"""Dimension to values; empty is everything. A message is inside when it has one of the values in each dimension."""

KINDS: tuple[Kind, ...] = get_args(Kind)

METRIC_OF: Mapping[Channel, str] = {
    "accepted": "third_party_success_rate",
    "receipts": "receipt_rate",
    "delivered": "delivery_rate",
    "filled": "fill_rate",
    "right": "verification_success_rate",
    "delay": "delivery_time",
    "data": "",
}
"""The quality metric that shows what a channel measures."""


@dataclass(frozen=True)
class LeadingCode:
    """An error code that grew, with the share of the additional failures that carry it."""

    code: str
    error_class: str
    share: float


@dataclass(frozen=True)
class Incident:
    """One fault as it is known at `updated_at`. Times are aware UTC; ratios are 0 to 1, of `delay` the share within a minute.

    `share` is the part of everything lost in that time, anywhere, that lies in this scope. `messages` counts those
    that fared worse than on a good day over the whole incident, `lost` leaves out of them those that were only late or
    unknown, and `affected` counts the people they were for: different numbers, by their hash.
    """

    id: str
    kind: Kind
    channel: Channel
    scope: Scope
    onset: datetime
    detected_at: datetime
    updated_at: datetime
    state: State = "open"
    resolved_at: datetime | None = None
    affected: int = 0
    messages: int = 0
    lost: int = 0
    share: float | None = None
    expected: float | None = None
    observed: float | None = None
    n: int = 0
    codes: tuple[LeadingCode, ...] = ()
    normal: tuple[str, ...] = ()
    confidence: float = 0.0
    silenced: bool = False
    metric: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not self.metric:
            object.__setattr__(self, "metric", METRIC_OF[self.channel])

    def as_json(self) -> dict[str, Any]:
        """Plain values for JSON; `from_json` reads them back."""
        told = asdict(self)
        for name in ("onset", "detected_at", "updated_at", "resolved_at"):
            told[name] = told[name].isoformat() if told[name] else None
        told["scope"] = {name: list(values) for name, values in self.scope.items()}
        return told

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Incident:
        """The incident that `as_json` told; names it does not know are passed over."""
        known = {name: told[name] for name in (one.name for one in fields(cls)) if name in told}
        known.setdefault("messages", known.get("affected", 0))  # what was told before people were counted
        for name in ("onset", "detected_at", "updated_at", "resolved_at"):
            known[name] = datetime.fromisoformat(known[name]).astimezone(UTC) if known.get(name) else None
        known["scope"] = {name: tuple(values) for name, values in known["scope"].items()}
        known["codes"] = tuple(LeadingCode(**code) for code in known.get("codes", ()))
        known["normal"] = tuple(known.get("normal", ()))
        return cls(**known)


@dataclass(frozen=True)
class Notification:
    """Something to tell about an incident: the incident as it was at that moment."""

    event: Event
    incident: Incident
    at: datetime

    def as_line(self) -> dict[str, Any]:
        """What `heliograph detect replay` writes, one JSON object a line."""
        one = self.incident
        return {
            "at": self.at.isoformat(),
            "event": self.event,
            "detected_at": one.detected_at.isoformat(),
            "incident_id": one.id,
            "kind": one.kind,
            "metric": one.metric,
            "scope": {name: list(values) for name, values in one.scope.items()},
            "onset": one.onset.isoformat(),
            "resolved_at": one.resolved_at.isoformat() if one.resolved_at else None,
            "affected": one.affected,
            "messages": one.messages,
            "share": one.share,
            "sentence": sentence(one),
        }


_WHAT: Mapping[Kind, str] = {
    "provider-outage": "the share of messages taken {way} fell",
    "receipts-stop": "receipts {way} stopped while codes are entered as usual (messages arrive, we are blind): they fell",
    "black-hole": "messages {way} vanish, neither receipts nor codes come back: receipts fell",
    "template-blocked": "delivery {way} is being filtered: it fell",
    "delivery-drop": "delivery {way} fell",
    "slow-channel": "messages {way} arrive late: the share with a receipt within a minute fell",
    "fake-receipts": "receipts {way} say delivered, but codes do not come back: the fill rate fell",
    "pumping": "codes are asked for {way} that nobody enters, by a machine it seems: the fill rate fell",
    "verification-broken": "right codes are being refused{way}: the share of first checks that pass fell",
    "data-stopped": "no data reached the warehouse",
}


def sentence(one: Incident, zone: tzinfo | None = None) -> str:
    """The incident in one sentence, in plain words; times in `zone` and with its name, or in UTC without a word.

    A time has its date when that is another day than the one on which the incident was last looked at.
    """
    began = _clock(one.onset, one, zone)
    until = f" until {_clock(one.resolved_at, one, zone)}" if one.resolved_at else ""
    way = where(one.scope)
    what = _WHAT[one.kind].format(way=f" {way}" if one.kind == "verification-broken" and way else way)
    parts = [f"{'from' if until else 'since'} {began}{until} {' '.join(what.split())}{_moved(one)}"]
    if one.messages:
        parts[0] += f", {cost(one)}{'' if one.resolved_at else ' so far'}"
    if one.codes:
        parts[0] += f", mostly code {one.codes[0].code}"
    parts += one.normal
    if one.share is not None:
        parts.append(f"it explains {percent(one.share)} of the drop")
    return "; ".join(parts)


def cost(one: Incident) -> str:
    """What it cost: messages, and the people they were for."""
    what, of = ("first check", "of") if one.channel == "right" else ("message", "to")
    people = "person" if one.affected == 1 else "people"
    return f"{one.messages:,} {what}{'' if one.messages == 1 else 's'} {of} {one.affected:,} {people}"


def where(scope: Scope) -> str:
    """A scope in words: "through alpha to CMCC in Guangdong, template code"; "" for everything."""
    words = {"provider": "through", "carrier": "to", "region": "in", "country": "in", "template": "with template",
             "purpose": "for", "app": "from"}  # fmt: skip
    told = [f"{word} {' and '.join(scope[name])}" for name, word in words.items() if name in scope]
    return " ".join(told) or "everywhere"


def _clock(at: datetime, one: Incident, zone: tzinfo | None) -> str:
    local, today = at.astimezone(zone or UTC), one.updated_at.astimezone(zone or UTC).date()
    day = "" if local.date() == today else f"{local.day} {local:%b} "
    return f"{day}{local:%H:%M}{f' {local:%Z}' if zone else ''}"


def _moved(one: Incident) -> str:
    if one.expected is None or one.observed is None:
        return ""
    return f" from {percent(one.expected)} to {percent(one.observed)}"
