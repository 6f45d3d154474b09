"""Mail over SMTP: the channel of reports and alerts, and its twin that keeps what it was given."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses, parseaddr
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import structlog
from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined

from core.errors import MailPartlyTaken, MailUnavailable
from core.settings.servers import Mail as MailSettings

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_log = structlog.get_logger(__name__)


class Mailer(Protocol):
    """Hands a finished message to a mail server."""

    def send(self, message: EmailMessage, *, only: Sequence[str] = ()) -> None:
        """Hand it over for everybody it is addressed to, or for some of them alone.

        Returns once the server has taken it for at least one of them and refused nobody for now; whom it refused for good is
        told in the log. Raises `MailPartlyTaken` with those refused for now, and `MailUnavailable` when nobody has it.
        """
        ...


@dataclass(frozen=True)
class Inline:
    """A picture in the HTML, which names it as `cid:<cid>`."""

    cid: str
    png: bytes


@dataclass(frozen=True)
class Attachment:
    """A file beside the text."""

    filename: str
    content: bytes
    subtype: str = "csv"


@dataclass(frozen=True)
class Letter:
    """A mail before it has an address. The same `name` is the same mail, to whoever sorts out doubles; `follows` is the
    name of the mail that began its thread."""

    name: str
    subject: str
    text: str
    html: str
    at: datetime
    pictures: tuple[Inline, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    follows: str = ""


def compose(letter: Letter, *, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The mail: text or HTML with its pictures inside, then the attachments."""
    mail = EmailMessage()
    mail["Subject"] = letter.subject
    address(mail, name=letter.name, at=letter.at, sender=sender, recipients=recipients)
    if letter.follows:
        mail["In-Reply-To"] = mail["References"] = _id(letter.follows, sender)
    mail["Auto-Submitted"] = "auto-generated"  # so that nobody's absence note answers it (RFC 3834)
    mail.set_content(letter.text, cte="quoted-printable")
    # Some mailers split references off from what they refer to unless the picture is related to the HTML part itself.
    mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    html = mail.get_payload()[1]  # type: ignore[index]
    assert isinstance(html, EmailMessage)
    for one in letter.pictures:
        html.add_related(one.png, "image", "png", cid=f"<{one.cid}>", disposition="inline", filename=f"{one.cid}.png")
    for file in letter.attachments:
        mail.add_attachment(file.content, maintype="text", subtype=file.subtype, filename=file.filename)
    return mail


def address(mail: EmailMessage, *, name: str, at: datetime, sender: str, recipients: Sequence[str]) -> None:
    """Put on a mail whom it is from and to, when, and under which name; what stood there before goes."""
    headers = {
        "From": sender,
        "To": ", ".join(recipients),
        "Date": format_datetime(at),
        "Message-ID": _id(name, sender),
    }
    for header, value in headers.items():
        del mail[header]
        mail[header] = value


def _id(name: str, sender: str) -> str:
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    return f"<{name}@{domain}>"


@lru_cache
def templates(package: str) -> Environment:
    """The mail templates of `package`, which may use the frame that all mails share (`mail.html.j2`)."""
    loaders: list[BaseLoader] = [PackageLoader(package), PackageLoader("core")]
    return Environment(
        loader=ChoiceLoader(loaders),
        autoescape=lambda name: bool(name) and ".html" in str(name),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


DATA_SECONDS_MAX = 600.0
"""RFC 5321, 4.5.3.2.6: a server that looks at what it takes may need minutes, and who gives up earlier sends it twice."""


_FOR_GOOD = 500
"""RFC 5321, 4.2.1: an answer below it says that the same may be taken later."""


class PatientSmtp(smtplib.SMTP):
    """Waits for every answer as long as it is told, and longer for the one that decides."""

    def data(self, msg: ReadableBuffer | str) -> tuple[int, bytes]:
        assert self.sock is not None
        before = self.sock.gettimeout()
        self.sock.settimeout(DATA_SECONDS_MAX)
        answer = super().data(msg)
        self.sock.settimeout(before)
        return answer


class PatientSmtpTls(PatientSmtp, smtplib.SMTP_SSL):
    """The same on a connection that is encrypted from the start."""


class SmtpMailer:
    """One connection a message: mails are rare, and a kept connection is usually dead when the next one comes."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    def send(self, message: EmailMessage, *, only: Sequence[str] = ()) -> None:
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            refused = self._hand_over(message, only)
        except (OSError, smtplib.SMTPException) as error:
            hint = "check [mail] in the settings"
            raise MailUnavailable(
                f"the mail server at {where} did not take the message: {type(error).__name__}", hint=hint
            ) from error
        waiting = sorted(address for address, (code, _) in refused.items() if code < _FOR_GOOD)
        if gone := sorted(refused.keys() - set(waiting)):
            _log.error("the mail server refused some recipients for good", server=where, recipients=gone)
        if waiting:
            raise MailPartlyTaken(
                f"the mail server at {where} refused {len(waiting)} of the recipients for now; the others have it",
                waiting=waiting,
                hint="tried again, it goes to those alone",
            )

    def _hand_over(self, message: EmailMessage, only: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        server = self._connect()
        try:
            refused = server.send_message(message, to_addrs=list(only) or None)
            # Taken is taken: what becomes of the goodbye must not bring the message again.
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
        finally:
            server.close()
        return refused

    def _connect(self) -> smtplib.SMTP:
        settings, context = self._settings, ssl.create_default_context()
        if settings.security == "tls":
            server: smtplib.SMTP = PatientSmtpTls(
                settings.host, settings.port, timeout=settings.timeout_seconds, context=context
            )
        else:
            server = PatientSmtp(settings.host, settings.port, timeout=settings.timeout_seconds)
        if settings.security == "starttls":
            server.starttls(context=context)
        if settings.username:
            server.login(settings.username, settings.password.get_secret_value())
        return server


class KeptMail:
    """The twin: keeps messages in `sent` and who got them in `reached`, refuses them while `available` is false, and for those
    in `refused` for now."""

    def __init__(self) -> None:
        self.sent: list[EmailMessage] = []
        self.reached: list[list[str]] = []
        self.available = True
        self.refused: set[str] = set()

    def send(self, message: EmailMessage, *, only: Sequence[str] = ()) -> None:
        meant = list(only) or [address for _, address in getaddresses([message["To"]])]
        waiting = sorted(self.refused.intersection(meant))
        if not self.available or len(waiting) == len(meant):
            raise MailUnavailable("the kept mail was told to be down")
        self.sent.append(message)
        self.reached.append([one for one in meant if one not in waiting])
        if waiting:
            raise MailPartlyTaken("the kept mail was told to refuse some", waiting=waiting)
