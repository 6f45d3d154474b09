"""The handset of whoever runs the demo: what arrives at its number comes up in the mailbox, to be read and entered."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage

import structlog

from core.errors import MailUnavailable
from core.mail import Mailer
from sandbox.handsets import Handsets

_log = structlog.get_logger(__name__)


async def show_in_mailbox(number: str, *, handsets: Handsets, mailer: Mailer) -> None:
    """Pass on every text to `number` (E.164), one mail each, until cancelled."""
    with handsets.watch(number) as inbox:
        while True:
            mail = mail_of(await inbox.get())
            try:
                await asyncio.to_thread(mailer.send, mail)
            except MailUnavailable as error:
                _log.warning("a text did not get into the mailbox", reason=str(error))


def mail_of(text: str) -> EmailMessage:
    """A text as a mail; its subject says all of it that fits on a line."""
    mail = EmailMessage()
    mail["From"] = "SMS <sms@heliograph.example>"
    mail["To"] = "your handset <you@heliograph.example>"
    mail["Subject"] = " ".join(text.split())[:150]
    mail.set_content(text)
    return mail
