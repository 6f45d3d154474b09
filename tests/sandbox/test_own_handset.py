"""Who runs the demo can read what is sent to its number."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from email.message import EmailMessage

from core.mail import KeptMail
from sandbox.handsets import Handsets
from sandbox.own_handset import mail_of, show_in_mailbox
from tests.support.providers import a_number
from tests.support.until import until


class DownAtFirst(KeptMail):
    """Refuses one mail, and takes the next."""

    def __init__(self) -> None:
        super().__init__()
        self.available = False

    def send(self, message: EmailMessage, **more: Sequence[str]) -> None:
        try:
            super().send(message, **more)
        finally:
            self.available = True


async def test_a_text_to_the_number_comes_up_in_the_mailbox_and_no_other_does():
    handsets, mailer, number = Handsets(), DownAtFirst(), a_number()
    showing = asyncio.create_task(show_in_mailbox(number, handsets=handsets, mailer=mailer))
    await until(lambda: handsets.is_watched(number))
    for to, text in ((a_number(), "not yours"), (number, "lost with the mail server"), (number, "a code")):
        await handsets.deliver(to, text)
    await until(lambda: bool(mailer.sent))
    showing.cancel()
    await asyncio.gather(showing, return_exceptions=True)

    assert [mail["Subject"] for mail in mailer.sent] == ["a code"]
    assert len(handsets) == 0


def test_a_text_of_several_lines_has_a_subject_of_one():
    mail = mail_of("first\nsecond " + "x" * 300)

    assert mail["Subject"].startswith("first second xxx")
    assert len(mail["Subject"]) == 150
    assert "first\nsecond" in mail.get_content()
