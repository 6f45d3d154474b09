"""Mail: taken by a real server or said to be unavailable; a server that refuses some does not cost the others theirs."""

import asyncio
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from structlog.testing import capture_logs

from core.errors import MailPartlyTaken, MailUnavailable
from core.mail import PatientSmtp, SmtpMailer
from core.settings.servers import Mail
from sandbox.ports import free_port


class Picky:
    """A mail server that does not know everybody."""

    def __init__(self):
        self.taken = []
        self.goodbye = "221 bye"
        self.is_busy = True
        self.waits, self.waited = lambda: None, None

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802  # the library's name
        if address.startswith("nobody"):
            return "550 no such user"
        if address.startswith("later") and self.is_busy:
            return "451 try again in a while"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.taken.append(envelope.rcpt_tos)
        self.waited = self.waits()
        return "250 OK"

    async def handle_QUIT(self, server, session, envelope):  # noqa: N802
        return self.goodbye


def message(*recipients: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "h@example.org", ", ".join(recipients), "news"
    mail.set_content("text")
    return mail


@pytest.fixture
def server():
    handler = Picky()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    handler.port = controller.port
    yield handler, SmtpMailer(Mail(port=controller.port))
    controller.stop()


def test_those_whom_the_server_knows_get_it_and_the_others_are_told_in_the_log(server):
    handler, mailer = server
    with capture_logs() as logs:
        mailer.send(message("a@example.org", "nobody@example.org"))

    assert handler.taken == [["a@example.org"]]
    assert [line["recipients"] for line in logs] == [["nobody@example.org"]]


def test_those_refused_for_now_are_named_and_later_get_it_alone(server):
    handler, mailer = server
    mail = message("a@example.org", "nobody@example.org", "later@example.org")
    with capture_logs() as logs, pytest.raises(MailPartlyTaken) as refused:
        mailer.send(mail)
    handler.is_busy = False
    mailer.send(mail, only=refused.value.waiting)

    assert refused.value.waiting == ("later@example.org",)
    assert handler.taken == [["a@example.org"], ["later@example.org"]]
    assert [line["recipients"] for line in logs] == [["nobody@example.org"]]


def test_a_message_that_nobody_takes_is_not_sent(server):
    handler, mailer = server
    with pytest.raises(MailUnavailable, match=r"127\.0\.0\.1"):
        mailer.send(message("nobody@example.org"))

    assert handler.taken == []


def test_a_message_that_was_taken_is_sent_though_the_server_is_rude_at_the_end(server):
    handler, mailer = server
    handler.goodbye = "421 shutting down"
    mailer.send(message("a@example.org"))

    assert handler.taken == [["a@example.org"]]


def test_the_answer_that_decides_is_waited_for_longer_than_any_other(server):
    """Until there is one the message may have been taken, and giving up and sending it again would double it."""
    handler, _ = server
    with PatientSmtp("127.0.0.1", handler.port, timeout=7.0) as client:
        handler.waits = lambda: client.sock.gettimeout()
        client.send_message(message("a@example.org"))
        after = client.sock.gettimeout()

    assert (handler.waited, after) == (600.0, 7.0)


async def test_a_server_that_is_not_there_is_said_to_be_unavailable():
    mailer = SmtpMailer(Mail(port=free_port()))
    with pytest.raises(MailUnavailable) as refused:
        await asyncio.to_thread(mailer.send, message("a@example.org"))

    assert "[mail]" in refused.value.hint
