"""What every SMS provider has in common: one way to send, to read receipts and to read inbound messages.

Timing, timeouts, logging and telemetry live here once, so that all providers are measured alike; a vendor writes
only how its format looks. No number, text or code reaches a log line or an error.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hmac import compare_digest
from hmac import new as new_hmac
from typing import ClassVar, Final, NoReturn, TypeVar

import aiohttp
import msgspec
import structlog
from yarl import URL

from core.attention import within
from core.clock import Clock, Timer
from core.errors import ConfigurationError
from core.events import ErrorClass
from core.redact import redact
from core.settings.sending import Provider as ProviderSettings
from service.errors import ForgedReceipt, ReceiptUnreadable
from service.providers.base.fields import RowUnreadable, told, untraceable
from service.providers.base.pushed import BODY_BYTES_MAX, Acknowledgement, BadRow, InboundRow, ReceiptRow
from service.providers.base.segments import segments_of
from service.providers.base.submission import Answer, AnswerUnreadable, HttpAnswer, Submission
from service.providers.base.telemetry import ProviderTelemetry

_log = structlog.get_logger(__name__)

ANSWER_BYTES_MAX: Final = 64 * 1024
SIGNATURE_AGE_SECONDS_MAX: Final = 300
HELD_UP: Final = "held_up"
"""The code of an answer that this process did not hear: it says nothing of the provider."""
_HEARD_SHARE = 0.9


class _Settled(Exception):  # never leaves `send`
    def __init__(self, answer: Answer) -> None:
        self.answer = answer


Row = TypeVar("Row", ReceiptRow, InboundRow)


class Provider(ABC):
    """One provider of the settings. A vendor's `Adapter` fills in the abstract methods, and nothing else.

    `listened` stands still while this process is held up: the provider is given his time all the same.

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
        timer: Timer = time.perf_counter,
        listened: Timer = time.monotonic,
    ) -> None:
        _check(settings)
        self.name = settings.name
        self.settings = settings
        self.clock = clock
        self._session = session
        self._telemetry = telemetry
        self._timer, self._listened = timer, listened
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
            provider_reference=untraceable(answer.provider_reference, submission.number),
            latency_ms=max(0, round(seconds * 1000)),
            segments=max(answer.segments, segments_of(submission.text)),
        )
        self._telemetry.submitted(self.name, answer, seconds)
        tell = _log.debug if answer.outcome == "accepted" else _log.info  # a line takes as long as all else here
        tell(
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
        heard_from = self._listened()
        try:
            async with within(allowed_seconds, listened=self._listened):
                return await self._submit(self._session, submission)
        except _Settled as settled:
            return settled.answer
        except AnswerUnreadable as error:
            return Answer("unknown", "provider", str(error) or "unreadable")
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError, aiohttp.InvalidURL):
            return Answer("failed", "provider", "no_connection")  # nothing was written
        except TimeoutError:
            is_held_up = self._listened() - heard_from < _HEARD_SHARE * allowed_seconds
            return Answer("unknown", "timeout", HELD_UP if is_held_up else "no_answer")
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
