"""Mail over SMTP: the channel of reports and alerts, and its twin that keeps what it was given."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from typing import Protocol

import structlog

from core.errors import MailUnavailable
from core.settings import Mail as MailSettings

_log = structlog.get_logger(__name__)


class Mailer(Protocol):
    """Hands a finished message to a mail server."""

    def send(self, message: EmailMessage) -> None:
        """Returns once the server has taken it for at least one recipient. Raises `MailUnavailable`."""
        ...


class SmtpMailer:
    """One connection a message: mails are rare, and a kept connection is usually dead when the next one comes."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    def send(self, message: EmailMessage) -> None:
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            with self._connect() as server:
                refused = server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            hint = "check [mail] in the settings"
            raise MailUnavailable(
                f"the mail server at {where} did not take the message: {type(error).__name__}", hint=hint
            ) from error
        if refused:
            # The others have it: an error would bring it to them again.
            _log.error("the mail server refused some recipients", server=where, recipients=sorted(refused))

    def _connect(self) -> smtplib.SMTP:
        settings, context = self._settings, ssl.create_default_context()
        if settings.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=settings.timeout_seconds, context=context
            )
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_seconds)
        if settings.security == "starttls":
            server.starttls(context=context)
        if settings.username:
            server.login(settings.username, settings.password.get_secret_value())
        return server


class KeptMail:
    """The twin: keeps messages in `sent`, refuses them while `available` is false."""

    def __init__(self) -> None:
        self.sent: list[EmailMessage] = []
        self.available = True

    def send(self, message: EmailMessage) -> None:
        if not self.available:
            raise MailUnavailable("the kept mail was told to be down")
        self.sent.append(message)
