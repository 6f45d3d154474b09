"""The one schema of what happened, to messages (`Send`, `Receipt`, `Verify`, `Inbound`) and to the service itself
(`StatusChange`, `Availability`), as versioned JSON, one event a line.

An event is told with names and classes only. A number or a code has no field here, and no text field takes a run of
seven digits, so that neither can slip in as something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

import msgspec

from core.errors import EventUnreadable
from core.ids import event_id
from core.redact import redact

VERSION = 1

DIMENSIONS = ("provider", "carrier", "country", "region", "app", "purpose", "template")
"""What every metric can be split and filtered by."""

_END = r"$(?!\n)"  # `$` alone also stands before a line break at the end

Name = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^(?!.*\d{7})[^\x00-\x1f]*" + _END)]
Hash = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{32})?" + _END)]
At = Annotated[datetime, msgspec.Meta(tz=True)]
Attempt = Annotated[int, msgspec.Meta(ge=1, le=255)]
Count = Annotated[int, msgspec.Meta(ge=0, le=4_294_967_295)]
Bytes = Annotated[int, msgspec.Meta(ge=0, le=9_223_372_036_854_775_807)]
Reason = Annotated[str, msgspec.Meta(max_length=300, pattern=r"^(?!.*\d{7})[^\x00-\x1f]*" + _END)]

Category = Literal["code", "notification", "marketing"]
Cause = Literal["first", "failover", "resend"]
Outcome = Literal["accepted", "rejected", "failed", "unknown", "refused"]
ReceiptStatus = Literal["delivered", "failed", "pending"]
CheckResult = Literal["approved", "wrong", "expired", "too_many", "already_approved"]
Keyword = Literal["stop", "start", "help", "other"]
ErrorClass = Literal[
    "",  # nothing went wrong, or nobody said
    "handset",  # off, out of reach, memory full
    "number",  # does not exist, cannot receive messages
    "blocked",  # sender, content or template filtered
    "opted_out",  # the subscriber does not want messages
    "throttled",  # too many, from us or to them
    "account",  # our credentials, balance or rights at the provider
    "route",  # the way to the carrier, or the carrier itself
    "provider",  # the provider failed on its own side
    "expired",  # validity passed before delivery
    "timeout",  # no answer in time: it may still arrive
    "unknown",  # a code we have no row for
]
"""Our small vocabulary, to which every provider maps its own codes."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What all have. `event_id` is made from the fact's natural key, so that whoever tells the fact again tells the same
    event; `table` is where it goes in the warehouse.
    """

    kind: ClassVar[str]
    table: ClassVar[str]

    at: At
    v: Literal[1] = 1
    event_id: Hash = ""

    def __post_init__(self) -> None:
        request_id = getattr(self, "request_id", None)
        if request_id is not None and request_id.version != 7:
            raise ValueError("request_id is no UUIDv7: its cohort cannot be known")
        made = event_id(self.kind, *self.key())
        if not self.event_id:
            msgspec.structs.force_setattr(self, "event_id", made)
        elif self.event_id != made:
            raise ValueError("event_id does not belong to this event's key")

    def key(self) -> tuple[str | int, ...]:
        """The natural key of the fact this event tells."""
        raise NotImplementedError


class MessageEvent(Event, frozen=True, kw_only=True):
    """What happened to a message. Dimensions are empty where the teller does not know them; the attempt's `Send` does."""

    provider: Name = ""
    carrier: Name = ""
    country: Name = ""
    region: Name = ""
    app: Name = ""
    purpose: Name = ""
    template: Name = ""


class Send(MessageEvent, tag="send", frozen=True, kw_only=True):
    """One attempt and its outcome. `at` is the moment of submission; `carrier` is what the number's prefix says."""

    kind = "send"
    table = "send_events"

    request_id: UUID
    attempt: Attempt
    category: Category
    cause: Cause
    outcome: Outcome
    error_class: ErrorClass = ""
    error_code: Name = ""
    latency_ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)] = 0
    segments: Annotated[int, msgspec.Meta(ge=1, le=20)] = 1
    phone_hash: Hash = ""

    def key(self) -> tuple[str | int, ...]:
        return (str(self.request_id), self.attempt)


class Receipt(MessageEvent, tag="receipt", frozen=True, kw_only=True):
    """One delivery receipt. `at` is when it reached us, `provider_at` when the provider says it happened.

    `carrier` is set only where the receipt names it. Of several final receipts of an attempt the earliest `at` counts.
    """

    kind = "receipt"
    table = "receipt_events"

    request_id: UUID
    attempt: Attempt
    status: ReceiptStatus
    error_class: ErrorClass = ""
    raw_status: Name = ""
    raw_code: Name = ""
    provider_at: At | None = None

    def key(self) -> tuple[str | int, ...]:
        return (str(self.request_id), self.attempt, self.status, self.raw_status, self.raw_code)


class Verify(MessageEvent, tag="verify", frozen=True, kw_only=True):
    """One check of a code. `attempt` is the attempt whose own code was entered, 0 when it was nobody's.

    A conversion told by a sender with codes of its own is the same event with `source="conversion"`.
    """

    kind = "verify"
    table = "verify_events"

    request_id: UUID
    attempt: Annotated[int, msgspec.Meta(ge=0, le=255)]
    check: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    result: CheckResult
    source: Literal["check", "conversion"] = "check"

    def key(self) -> tuple[str | int, ...]:
        return (str(self.request_id), self.source, self.check)


class Inbound(MessageEvent, tag="inbound", frozen=True, kw_only=True):
    """One message from a handset. Its text stays out; `keyword` says what it asked for."""

    kind = "inbound"
    table = "inbound_events"

    message_hash: Hash
    phone_hash: Hash
    keyword: Keyword

    def key(self) -> tuple[str | int, ...]:
        return (self.provider, self.message_hash)


class StatusChange(Event, tag="status", frozen=True, kw_only=True):
    """A part of the service changed its status, as one instance saw it. `component` is the part, such as `store`."""

    kind = "status"
    table = "status_events"

    instance: Hash
    component: Name
    old: Name
    new: Name
    reason: Reason = ""

    def key(self) -> tuple[str | int, ...]:
        return (self.instance, self.component, self.at.isoformat(timespec="microseconds"), self.old, self.new)


class Availability(Event, tag="availability", frozen=True, kw_only=True):
    """How the API answered in the minute that began `at`: calls in all, of them failed (5xx) and, of these, shed because
    too many waited; and the most that was seen waiting in the instance's journals in that minute, 0 when nothing was.
    Nothing is said of the journals where they could not be looked at, or by a version that did not look. One instance, one
    minute, one event."""

    kind = "availability"
    table = "availability_minutes"

    instance: Hash
    calls: Count
    failed: Count
    shed: Count
    store_backlog_bytes: Bytes | None = None
    events_backlog_bytes: Bytes | None = None

    def key(self) -> tuple[str | int, ...]:
        return (self.instance, self.at.isoformat(timespec="seconds"))


AnyEvent = Send | Receipt | Verify | Inbound | StatusChange | Availability
KINDS: dict[str, type[Event]] = {
    kind.kind: kind for kind in (Send, Receipt, Verify, Inbound, StatusChange, Availability)
}


@dataclass(frozen=True)
class BadLine:
    """A line that is not an event: which one (from 0), why, and its bytes."""

    index: int
    reason: str
    raw: bytes


UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What a line that is no event makes the decoder raise; the last of them for a thousand brackets."""

_encoder = msgspec.json.Encoder(uuid_format="canonical")
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def encode_lines(events: Iterable[Event]) -> bytes:
    """Events as JSON, one a line, in order: what a queue message and a journal record carry."""
    return _encoder.encode_lines(list(events))


def decode(line: bytes) -> AnyEvent:
    """One event. Raises `EventUnreadable` with a reason that does not repeat the event's values."""
    try:
        return _decoder.decode(line)
    except UNREADABLE as error:
        raise EventUnreadable(redact(str(error))) from error


def from_row(row: Mapping[str, Any]) -> AnyEvent:
    """One event from the columns of a table: empty cells count as not told. Raises `EventUnreadable`, as `decode`."""
    told = {name: value for name, value in row.items() if value is not None and value != ""}
    try:
        event: AnyEvent = msgspec.convert(told, AnyEvent, strict=False)
    except UNREADABLE as error:
        raise EventUnreadable(redact(str(error))) from error
    return event


def decode_lines(body: bytes) -> tuple[list[AnyEvent], list[BadLine]]:
    """All that can be read, in order, and all that cannot; one bad line costs none of its neighbours."""
    good: list[AnyEvent] = []
    bad: list[BadLine] = []
    for index, line in enumerate(body.splitlines()):
        if not line.strip():
            continue
        try:
            good.append(decode(line))
        except EventUnreadable as error:
            bad.append(BadLine(index, str(error), line))
    return good, bad
