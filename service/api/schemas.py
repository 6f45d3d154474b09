"""What goes in and out of the API. Nothing that goes out holds a number or a code."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from core.events import Category, CheckResult

_END = r"$(?!\n)"  # `$` alone also stands before a line break at the end

To = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=32,
        description="The number, in E.164: a plus sign, the country code, the number.",
        examples=["+<country code><number>"],
    ),
]
Word = Annotated[
    str,
    Meta(
        pattern=r"^(?!.*\d{7})[a-z][a-z0-9_-]{0,31}" + _END,
        description="Up to 32 small letters, digits, _ and -, beginning with a letter; no seven digits in a row.",
        examples=["login"],
    ),
]
OptionalWord = Annotated[str, Meta(pattern=r"^((?!.*\d{7})[a-z][a-z0-9_-]{0,31})?" + _END)]
Locale = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,4}){0,4}" + _END,
        description="Language of the text, as a BCP 47 tag.",
        examples=["en", "de-AT"],
    ),
]
EnteredCode = Annotated[
    str,
    Meta(min_length=1, max_length=32, description="As the user typed it; spaces and dashes do not matter."),
]
Variables = Annotated[
    dict[
        Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,31}" + _END)],
        Annotated[str, Meta(max_length=200)],
    ],
    Meta(max_length=20, description="What the template's places are filled with."),
]


ClientAddress = Annotated[
    str,
    Meta(
        max_length=45,
        description="IPv4 or IPv6 address of the person who asked, for the quota by address; it is hashed and not kept.",
        examples=["192.0.2.7"],
    ),
]


class NewVerification(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A code to send. The same number and purpose again, within the lifetime, sends again for the same verification."""

    to: To
    purpose: Word
    template: OptionalWord = ""
    locale: Locale = "en"
    variables: Variables = {}
    client_address: ClientAddress = ""


class VerificationSent(msgspec.Struct, kw_only=True):
    """`sent` is "unknown" when no provider confirmed in time: the message may arrive, and its code would be good."""

    id: UUID
    status: Literal["pending"]
    purpose: str
    created_at: datetime
    expires_at: datetime
    attempt: int
    sent: Literal["accepted", "unknown"]
    resend_after_seconds: int


class NewCheck(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A code that a user entered."""

    code: EnteredCode


class NewNumberCheck(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A code that a user entered, for the newest living verification of a number and purpose."""

    to: To
    purpose: Word
    code: EnteredCode


class CheckAnswer(msgspec.Struct, kw_only=True):
    """Only `approved` is a success; `already_approved` is none, whatever the code. `expired` also when there is no such
    verification."""

    status: CheckResult
    checks_left: int


class AttemptView(msgspec.Struct, kw_only=True):
    """One submission to one provider. `receipt` is the last word of the provider, empty before there is one."""

    attempt: int
    at: datetime
    provider: str
    cause: str
    outcome: str
    error_class: str
    receipt: str
    latency_ms: int


class VerificationView(msgspec.Struct, kw_only=True):
    """A verification and what became of it."""

    id: UUID
    status: Literal["pending", "approved", "expired", "too_many", "failed"]
    purpose: str
    template: str
    country: str
    created_at: datetime
    expires_at: datetime
    approved_at: datetime | None
    checks_left: int
    attempts: list[AttemptView]


class NewMessage(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A message with a text of its own, or a template. Category `code` is for codes that the sender made."""

    to: To
    category: Category
    text: Annotated[str, Meta(max_length=1000)] = ""
    template: OptionalWord = ""
    locale: Locale = "en"
    purpose: OptionalWord = ""
    variables: Variables = {}
    client_address: ClientAddress = ""


class MessageSent(msgspec.Struct, kw_only=True):
    """`status` is "unknown" when no provider confirmed in time: the message may arrive."""

    id: UUID
    status: Literal["accepted", "unknown"]
    category: str
    created_at: datetime
    attempt: int


class MessageView(msgspec.Struct, kw_only=True):
    """A message and what became of it."""

    id: UUID
    status: Literal["accepted", "delivered", "failed", "unknown"]
    category: str
    purpose: str
    template: str
    country: str
    created_at: datetime
    converted_at: datetime | None
    attempts: list[AttemptView]


class NewConversion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The code in a message was used. Without `attempt` the last one is meant."""

    id: UUID
    attempt: Annotated[int, Meta(ge=1, le=255)] | None = None


class ConversionKept(msgspec.Struct, kw_only=True):
    """Which attempt the conversion is counted for."""

    id: UUID
    attempt: int


class PushTaken(msgspec.Struct, kw_only=True):
    """How many rows of a pushed body were kept, and how many could not be read."""

    taken: int
    unreadable: int
