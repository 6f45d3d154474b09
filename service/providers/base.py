"""What every SMS provider has in common: one way to send, to read receipts and to read inbound messages.

Timing, timeouts, logging and telemetry live here once, so that all providers are measured alike; a vendor writes
only how its format looks. No number, text or code reaches a log line or an error.
"""

from __future__ import annotations

import asyncio
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hmac import compare_digest
from hmac import new as new_hmac
from typing import ClassVar, Final, NoReturn, TypeVar
from uuid import RFC_4122, UUID

import aiohttp
import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from yarl import URL

from core.clock import Clock
from core.errors import ConfigurationError
from core.events import ErrorClass, Outcome, ReceiptStatus
from core.redact import redact
from core.settings import Provider as ProviderSettings
from service.errors import ForgedReceipt, ReceiptUnreadable

_log = structlog.get_logger(__name__)

BODY_BYTES_MAX: Final = 1024 * 1024
ANSWER_BYTES_MAX: Final = 64 * 1024
SIGNATURE_AGE_SECONDS_MAX: Final = 300


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
class ReceiptRow:
    """One delivery receipt. `provider_at` is aware UTC, None where the provider gave no time that can be read."""

    request_id: UUID
    attempt: int
    status: ReceiptStatus
    error_class: ErrorClass = ""
    raw_status: str = ""
    raw_code: str = ""
    provider_at: datetime | None = None
    carrier: str = ""


@dataclass(frozen=True)
class InboundRow:
    """One message from a handset, as the provider wrote its number: not yet checked to be one."""

    message_id: str
    number: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read: which one (from 0) and why, without its values."""

    index: int
    reason: str


@dataclass(frozen=True)
class Acknowledgement:
    """What a provider wants to hear when its receipts were taken; anything else makes it send them again."""

    body: bytes = b""
    content_type: str = "text/plain"


WRONG_REFERENCE: Final = "wrong_reference"
"""Code of an answer that speaks of another message than the one submitted."""


@dataclass(frozen=True)
class HttpAnswer:
    """Status and body of a provider's answer: 2xx, or a 4xx that may say more in its body."""

    status: int
    body: bytes = field(repr=False)


class RowUnreadable(ValueError):
    """Raised by a vendor's parsing for one row. The text is shown to people, so it repeats no value of the row."""


class AnswerUnreadable(ValueError):
    """Raised by a vendor for an answer that is not its format, or that speaks of another message."""


class _Settled(Exception):  # never leaves `send`
    def __init__(self, answer: Answer) -> None:
        self.answer = answer


class ProviderTelemetry:
    """Counts and times of all providers of a process, in the registry passed in. Make one a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._submissions = Counter(
            "heliograph_provider_submissions",
            "Submissions to a provider, by how they ended.",
            ["provider", "outcome", "error_class"],
            registry=registry,
        )
        self._seconds = Histogram(
            "heliograph_provider_answer_seconds",
            "Time from submission to the provider's answer, or to giving up.",
            ["provider"],
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8),
            registry=registry,
        )
        self._waiting = Gauge(
            "heliograph_provider_waiting", "Submissions that wait for an answer.", ["provider"], registry=registry
        )
        self._rows = Counter(
            "heliograph_provider_rows",
            "Rows that providers pushed to us: receipts and inbound messages, readable or not.",
            ["provider", "kind", "result"],
            registry=registry,
        )
        self._refused = Counter(
            "heliograph_provider_bodies_refused",
            "Bodies that were refused whole, because forged or unreadable.",
            ["provider", "kind", "reason"],
            registry=registry,
        )

    @contextmanager
    def waiting(self, provider: str) -> Iterator[None]:
        """Count a submission as waiting while the block runs, however it ends."""
        gauge = self._waiting.labels(provider)
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()

    def submitted(self, provider: str, answer: Answer, seconds: float) -> None:
        """One submission ended."""
        self._submissions.labels(provider, answer.outcome, answer.error_class).inc()
        self._seconds.labels(provider).observe(seconds)

    def rows(self, provider: str, kind: str, *, good: int, bad: int) -> None:
        """One body was read."""
        self._rows.labels(provider, kind, "good").inc(good)
        self._rows.labels(provider, kind, "bad").inc(bad)

    def refused(self, provider: str, kind: str, reason: str) -> None:
        """One body was refused whole."""
        self._refused.labels(provider, kind, reason).inc()


Row = TypeVar("Row", ReceiptRow, InboundRow)


class Provider(ABC):
    """One provider of the settings. A vendor's `Adapter` fills in the abstract methods, and nothing else.

    Raises `ConfigurationError` when made with an address, account or secret that cannot work.
    """

    receipt_reply: ClassVar[Acknowledgement] = Acknowledgement()

    def __init__(
        self,
        settings: ProviderSettings,
        *,
        session: aiohttp.ClientSession,
        clock: Clock,
        telemetry: ProviderTelemetry,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        _check(settings)
        self.name = settings.name
        self.settings = settings
        self.clock = clock
        self._session = session
        self._telemetry = telemetry
        self._timer = timer
        self._secret = settings.secret.get_secret_value().encode()

    # what the service calls

    async def send(self, submission: Submission, *, timeout_seconds: float | None = None) -> Answer:
        """Submit once, and say how it ended; no error of the network leaves here.

        `timeout_seconds` is what is left of the request's deadline; the provider's own timeout holds as well.
        """
        allowed = min(self.settings.timeout_seconds, timeout_seconds or self.settings.timeout_seconds)
        begun = self._timer()
        with self._telemetry.waiting(self.name):
            answer = await self._attempt(submission, allowed)
        seconds = self._timer() - begun
        answer = replace(
            answer,
            error_code=told(answer.error_code),
            latency_ms=max(0, round(seconds * 1000)),
            segments=max(answer.segments, segments_of(submission.text)),
        )
        self._telemetry.submitted(self.name, answer, seconds)
        _log.info(
            "submission ended",
            provider=self.name,
            reference=submission.reference,
            outcome=answer.outcome,
            error_class=answer.error_class,
            error_code=answer.error_code,
            latency_ms=answer.latency_ms,
        )
        return answer

    def receipts(self, headers: Mapping[str, str], body: bytes) -> tuple[list[ReceiptRow], list[BadRow]]:
        """The receipts in a pushed body, and the rows that are none.

        Raises `ForgedReceipt` when the signature is not the provider's, `ReceiptUnreadable` when the whole body is
        not in its format.
        """
        return self._pushed("receipts", headers, body, self._receipt)

    def inbound(self, headers: Mapping[str, str], body: bytes) -> tuple[list[InboundRow], list[BadRow]]:
        """The inbound messages in a pushed body. Raises like `receipts`."""
        return self._pushed("inbound", headers, body, self._inbound)

    # what a vendor writes

    @abstractmethod
    async def _submit(self, session: aiohttp.ClientSession, submission: Submission) -> Answer:
        """Send one message with `self._post` and read the answer. Raises `AnswerUnreadable`."""

    @abstractmethod
    def _verify(self, headers: Mapping[str, str], body: bytes, path: str) -> None:
        """Check the signature over a body pushed to `path`; header names are lower case. Raises `ForgedReceipt`."""

    @abstractmethod
    def _rows(self, body: bytes) -> Sequence[bytes]:
        """Split a pushed body into rows. Raises `ReceiptUnreadable`, or lets `msgspec` and Unicode errors through."""

    @abstractmethod
    def _receipt(self, row: bytes) -> ReceiptRow:
        """Read one receipt. Raises `RowUnreadable`, or lets `msgspec` and Unicode errors through."""

    @abstractmethod
    def _inbound(self, row: bytes) -> InboundRow:
        """Read one inbound message. Raises like `_receipt`."""

    # what a vendor uses

    async def _post(
        self, session: aiohttp.ClientSession, path: str, *, headers: Mapping[str, str], body: bytes
    ) -> HttpAnswer:
        """POST to the provider's address. What means the same at every vendor (5xx, 429, 408) ends it here."""
        # Half of the time is for the connection: a connect timeout has to be known as one, for then nothing was sent.
        timeout = aiohttp.ClientTimeout(total=None, connect=self.settings.timeout_seconds / 2)
        url = URL(self.settings.url.rstrip("/") + path)
        # A redirect would carry the number to a host nobody configured.
        async with session.post(
            url, data=body, headers=dict(headers), timeout=timeout, allow_redirects=False
        ) as response:
            _settle_by_status(response.status)
            text = await response.content.read(ANSWER_BYTES_MAX + 1)
            while not response.content.at_eof() and len(text) <= ANSWER_BYTES_MAX:
                text += await response.content.read(ANSWER_BYTES_MAX + 1 - len(text))
        if len(text) > ANSWER_BYTES_MAX:
            raise AnswerUnreadable("too_long")
        return HttpAnswer(response.status, text)

    def _accepted(self, provider_reference: str, *, segments: int = 1) -> Answer:
        """A yes, with the id the provider gave."""
        if not re.fullmatch(r"[\w.:-]{1,64}", provider_reference):
            raise AnswerUnreadable("no_id")
        return Answer("accepted", provider_reference=provider_reference, segments=segments)

    def _unreadable(self, answer: HttpAnswer) -> NoReturn:
        """End a submission whose answer is not in the vendor's format. A 4xx is a no whatever stands in its body."""
        if 400 <= answer.status < 500:
            account: ErrorClass = "account" if answer.status in (401, 403) else "unknown"
            raise _Settled(Answer("rejected", account, f"http_{answer.status}"))
        raise AnswerUnreadable("unreadable")

    def _signature(self, message: bytes) -> str:
        """HMAC-SHA256 under the provider's secret, in hex."""
        return new_hmac(self._secret, message, "sha256").hexdigest()

    def _demand(self, expected: str, given: str) -> None:
        """Compare signatures in constant time. Raises `ForgedReceipt`."""
        if not compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape")):
            raise ForgedReceipt("the signature is missing or wrong")

    def _demand_recent(self, timestamp: str) -> None:
        """Refuse a signature made more than five minutes from now, either way. Raises `ForgedReceipt`."""
        if not re.fullmatch(r"[0-9]{1,11}", timestamp):
            raise ForgedReceipt("the time of the signature is missing")
        if abs(self.clock().timestamp() - int(timestamp)) > SIGNATURE_AGE_SECONDS_MAX:
            raise ForgedReceipt("the signature is too old, or of the future")

    # the shared part

    async def _attempt(self, submission: Submission, allowed_seconds: float) -> Answer:
        try:
            async with asyncio.timeout(allowed_seconds):
                return await self._submit(self._session, submission)
        except _Settled as settled:
            return settled.answer
        except AnswerUnreadable as error:
            return Answer("unknown", "provider", str(error) or "unreadable")
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError, aiohttp.InvalidURL):
            return Answer("failed", "provider", "no_connection")  # nothing was written
        except TimeoutError:
            return Answer("unknown", "timeout", "no_answer")
        except (aiohttp.ClientError, OSError):
            # The request may have been read before the connection broke.
            return Answer("unknown", "provider", "disconnected")

    def _pushed(
        self, kind: str, headers: Mapping[str, str], body: bytes, read: Callable[[bytes], Row]
    ) -> tuple[list[Row], list[BadRow]]:
        try:
            rows = self._believed(kind, headers, body)
        except (ForgedReceipt, ReceiptUnreadable) as error:
            reason = "forged" if isinstance(error, ForgedReceipt) else "unreadable"
            self._telemetry.refused(self.name, kind, reason)
            _log.warning("pushed body refused", provider=self.name, body=kind, reason=str(error))
            raise
        good: list[Row] = []
        bad: list[BadRow] = []
        for index, row in enumerate(rows):
            try:
                with _readable(RowUnreadable):
                    good.append(read(row))
            except RowUnreadable as error:
                bad.append(BadRow(index, str(error)))
        self._telemetry.rows(self.name, kind, good=len(good), bad=len(bad))
        if bad:
            _log.warning("rows not read", provider=self.name, body=kind, rows=len(bad), first=bad[0].reason)
        return good, bad

    def _believed(self, kind: str, headers: Mapping[str, str], body: bytes) -> Sequence[bytes]:
        if len(body) > BODY_BYTES_MAX:
            raise ReceiptUnreadable(f"the body is longer than {BODY_BYTES_MAX} bytes")
        with _readable(ReceiptUnreadable):
            # Only the path is signed, never the host: proxies in between rewrite it.
            self._verify({name.lower(): value for name, value in headers.items()}, body, f"/v1/{kind}/{self.name}")
            body.decode("utf-8")
            return self._rows(body)


@contextmanager
def _readable(raised: type[RowUnreadable | ReceiptUnreadable]) -> Iterator[None]:
    try:
        yield
    except UnicodeError:
        raise raised("not UTF-8") from None
    except RecursionError:
        raise raised("nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise raised(redact(str(error))) from None


def open_session(*, connections_max: int = 200) -> aiohttp.ClientSession:
    """A pooled session for all providers of a process; call it on the event loop and close it at the end.

    Idle connections are dropped after 4 s: many servers close theirs after 5, and a POST written to a connection
    that is just being closed ends as `unknown`.
    """
    connector = aiohttp.TCPConnector(limit=connections_max, keepalive_timeout=4.0, ttl_dns_cache=60)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def reference_of(request_id: UUID, attempt: int) -> str:
    """Our name of an attempt towards a provider: 32 hex digits, a hyphen, the attempt."""
    return f"{request_id.hex}-{attempt}"


_REFERENCE = re.compile(r"([0-9a-f]{32})-([1-9][0-9]{0,2})")


def parse_reference(reference: str) -> tuple[UUID, int]:
    """Request id and attempt of a reference. Raises `RowUnreadable` for anything `reference_of` cannot have made."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise RowUnreadable("the reference is not one of ours")
    request_id, attempt = UUID(hex=match[1]), int(match[2])
    if request_id.version != 7 or request_id.variant != RFC_4122 or attempt > 255:
        raise RowUnreadable("the reference is not one of ours")
    return request_id, attempt


Statuses = Mapping[str, tuple[ReceiptStatus, ErrorClass]]
"""A vendor's status words: what each means, and its class when no code comes with it."""


def receipt_row(
    *,
    reference: str,
    status: str,
    code: str,
    statuses: Statuses,
    codes: Mapping[str, ErrorClass],
    provider_at: datetime | None = None,
    carrier: str = "",
) -> ReceiptRow:
    """A receipt in our words, from a vendor's and its two tables.

    A status without a row counts as pending: it may or may not be final, so it must not end the attempt.
    """
    request_id, attempt = parse_reference(reference)
    ours, error_class = statuses.get(status, ("pending", "unknown"))
    if code and ours != "delivered" and status in statuses:
        error_class = codes.get(code, "unknown")
    return ReceiptRow(
        request_id,
        attempt,
        ours,
        error_class,
        raw_status=told(status),
        raw_code=told(code),
        provider_at=provider_at if provider_at and 2000 <= provider_at.year < 2200 else None,
        carrier=told(carrier),
    )


def inbound_row(*, message_id: str, number: str, text: str) -> InboundRow:
    """An inbound message with the fields that one needs. Raises `RowUnreadable`."""
    if not 1 <= len(message_id) <= 128:
        raise RowUnreadable("the message has no id, or one longer than 128 characters")
    if not 4 <= len(number) <= 32:
        raise RowUnreadable("the message has no number")
    return InboundRow(message_id, number, text)


_NOT_TOLD = re.compile(r"[\x00-\x1f\x7f-\x9f]|\d{7,}")


def told(text: str) -> str:
    """A vendor's word or code in the form events take: short, printable, and never long enough to be a number."""
    return _NOT_TOLD.sub("#", text.strip())[:48]


def time_utc(text: str) -> datetime | None:
    """An aware time from RFC 3339, None where it is not one or names no zone."""
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def seconds_utc(seconds: float) -> datetime | None:
    """An aware time from seconds since 1970, None where there is no such time."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_ESCAPED = frozenset("^{}\\[~]|€\f")


def segments_of(text: str) -> int:
    """SMS parts of a text (3GPP TS 23.038): 160 or 153 septets in the GSM alphabet, else 70 or 67 UTF-16 units."""
    if all(letter in _GSM7 or letter in _GSM7_ESCAPED for letter in text):
        length, one, more = len(text) + sum(letter in _GSM7_ESCAPED for letter in text), 160, 153
    else:
        length, one, more = len(text.encode("utf-16-le", "surrogatepass")) // 2, 70, 67
    return 1 if length <= one else min(20, -(-length // more))


def _settle_by_status(status: int) -> None:
    if status == 429:
        raise _Settled(Answer("rejected", "throttled", "http_429"))
    if status in (408, 504):  # somebody on the way gave up waiting: the provider may have read it
        raise _Settled(Answer("unknown", "timeout", f"http_{status}"))
    if status >= 500:
        raise _Settled(Answer("failed", "provider", f"http_{status}"))
    if 300 <= status < 400:
        raise _Settled(Answer("failed", "provider", f"http_{status}"))


def _check(settings: ProviderSettings) -> None:
    try:
        url = URL(settings.url)
        usable = url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(f"provider {settings.name}: url is not an http or https address")
    if not settings.account or not settings.secret.get_secret_value():
        raise ConfigurationError(
            f"provider {settings.name}: account and secret are needed",
            hint="without a secret anybody could forge its receipts",
        )
