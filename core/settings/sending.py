"""What is sent, to whom, through whom and how often: the service and its API."""

from __future__ import annotations

from pydantic import Field, SecretStr

from core.settings.section import Secret, Section


class Code(Section):
    """Verification codes (NIST SP 800-63B, OWASP: short-lived, used once, few guesses)."""

    secret: Secret = Field(
        SecretStr(""),
        description="Secret from which codes are derived; the same on all instances. Changing it voids living codes.",
    )
    length: int = Field(6, ge=4, le=10, description="Digits of a code.")
    lifetime_seconds: int = Field(600, ge=30, le=3600, description="How long a verification can be approved.")
    checks_max: int = Field(5, ge=1, le=20, description="Checks of one verification, right or wrong.")
    cooldown_seconds: list[int] = Field(
        [30, 60, 120], description="Wait before the first, second, third ... resend; the last repeats."
    )
    sends_per_ten_minutes: int = Field(
        5,
        ge=1,
        description="Sends of a code to one number in ten minutes; codes of senders count, failovers to another provider do not.",
    )
    sends_per_day: int = Field(
        10,
        ge=1,
        description="Sends of a code to one number in 24 hours; codes of senders count, failovers to another provider do not.",
    )


class Limits(Section):
    """Against those who make the company send codes for nothing (OWASP: SMS pumping), and for the peace of subscribers.
    0 turns a quota off. What one number may be sent in codes stands in `[code]`; no other message counts against it."""

    codes_per_address_per_hour: int = Field(
        20, ge=0, description="Codes for one `client_address` in an hour; an IPv6 address stands for its /64."
    )
    codes_per_range_per_hour: int = Field(
        200, ge=0, description="Codes in an hour for numbers that differ in their last three digits only."
    )
    notifications_per_number_per_ten_minutes: int = Field(
        10, ge=0, description="Sends of a notification to one number in ten minutes."
    )
    notifications_per_number_per_day: int = Field(
        30, ge=0, description="Sends of a notification to one number in 24 hours."
    )
    marketing_per_number_per_ten_minutes: int = Field(
        5, ge=0, description="Sends of marketing to one number in ten minutes."
    )
    marketing_per_number_per_day: int = Field(10, ge=0, description="Sends of marketing to one number in 24 hours.")
    codes_per_app_per_hour: int = Field(0, ge=0, description="Codes one app is sent in an hour.")
    codes_per_country_per_hour: int = Field(0, ge=0, description="Codes one country is sent in an hour.")
    pumping_codes_min: int = Field(
        100, ge=1, description="Codes to one network in an hour from which its share of entered codes is judged."
    )
    pumping_approved_share: float = Field(
        0.05, ge=0, le=1, description="Share of entered codes below which a network is suspected of pumping."
    )
    refuse_suspected_pumping: bool = Field(
        False,
        description="Refuse nine in ten codes to a suspected network. An outage of that network looks the same: leave it "
        "off where a code that may arrive is worth more than its price.",
    )


class Numbers(Section):
    """Phone numbers: hashed where they are counted, sealed on the queue, encrypted at rest."""

    hash_key: Secret = Field(
        SecretStr(""), description="Key of the hash that stands for a number everywhere; changing it forgets opt-outs."
    )
    seal_key: Secret = Field(SecretStr(""), description="Key that seals a number on its way to the encryption worker.")
    default_country: str = Field(
        "", pattern=r"^([A-Z]{2})?$", description="Country of numbers written without one; empty refuses them."
    )


class Api(Section):
    """The HTTP API of the service."""

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless you say otherwise.")
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen on; 0 picks a free one.")
    key_secret: Secret = Field(SecretStr(""), description="Key under which API keys are hashed before they are stored.")
    body_bytes_max: int = Field(256 * 1024, ge=1024, description="Largest request body.")
    key_cache_seconds: float = Field(
        30.0,
        ge=0,
        description="How long an API key is believed without asking the store; a revoked key works that long.",
    )
    requests_waiting_max: int = Field(
        1_000,
        ge=1,
        description="Requests in hand at once; beyond it callers get 503 with Retry-After, and earlier while the process has no "
        "time to answer them.",
    )
    idempotency_hours: float = Field(24.0, gt=0, description="How long the answer to an Idempotency-Key is kept.")


class Provider(Section):
    """One SMS provider: `[[providers]]` in the file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="Its name in paths, events and charts.")
    kind: str = Field(description="Which adapter speaks to it: a module of `service/providers`.")
    url: str = Field(description="Address of its API.")
    account: str = Field("", description="Account or key id.")
    secret: SecretStr = Field(SecretStr(""), description="Key for calls to it and for the signatures of its receipts.")
    weight: float = Field(1.0, ge=0, description="Share of traffic among the providers that can take a message.")
    countries: list[str] = Field([], description="ISO codes it serves; empty means all.")
    timeout_seconds: float = Field(3.0, gt=0, description="Longest wait for its answer.")


class Template(Section):
    """One text: `[[templates]]` in the file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="Its name in requests and charts.")
    locale: str = Field("en", description="Language of the text, as a BCP 47 tag.")
    text: str = Field(
        min_length=1,
        max_length=1000,
        description="The text; `{code}` and `{minutes}` are filled in, and any name from `variables`.",
    )


class Price(Section):
    """What one part of a message costs: `[[prices]]` in the file; all in one currency."""

    provider: str = Field(description="Name of the provider.")
    country: str = Field(
        "", pattern=r"^([A-Z]{2})?$", description="ISO code; empty for all that have no price of their own."
    )
    per_part: float = Field(ge=0, description="Price of one part (segment) that the provider accepted.")


class Routing(Section):
    """How a message finds its provider."""

    deadline_seconds: float = Field(
        8.0, gt=0, description="Time for the whole request; another provider is tried while it lasts."
    )
    attempts_max: int = Field(3, ge=1, le=10, description="Most providers tried for one send.")
    breaker_failures: int = Field(5, ge=1, description="Failures in a row after which a provider rests.")
    breaker_seconds: float = Field(15.0, gt=0, description="How long it rests before one message tries it again.")
