"""The SMTP side: takes every mail for anybody, up to a size, and answers 250 only once it lies on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
from aiosmtpd.smtp import SMTP, Envelope, Session

from sandbox.mailbox.store import MailFolder

MAIL_BYTES_MAX = 25 * 1024 * 1024
_RECIPIENTS_MAX = 100
_IDLE_SECONDS = 60.0


class Sink:
    """What the SMTP library calls. The answers are those of RFC 5321."""

    def __init__(self, folder: MailFolder) -> None:
        self._folder = folder

    async def handle_RCPT(  # noqa: N802  the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= _RECIPIENTS_MAX:
            return f"452 4.5.3 Too many recipients, at most {_RECIPIENTS_MAX}"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        sender, recipients = envelope.mail_from or "", list(envelope.rcpt_tos)
        try:
            mail_id = await asyncio.to_thread(self._folder.add, content, envelope_from=sender, envelope_to=recipients)
        except OSError as error:
            click.echo(f"a mail was refused: it could not be kept ({error.strerror})", err=True)
            return f"452 4.3.1 The mail could not be kept: {error.strerror}"
        return f"250 2.0.0 Kept as {mail_id}"


@asynccontextmanager
async def smtp_server(
    folder: MailFolder, *, host: str, port: int, mail_bytes_max: int = MAIL_BYTES_MAX
) -> AsyncIterator[None]:
    """Listens while the block runs. Raises `OSError` when the port is taken."""
    loop, sink = asyncio.get_running_loop(), Sink(folder)

    def connection() -> SMTP:
        return SMTP(
            sink,
            data_size_limit=mail_bytes_max,
            enable_SMTPUTF8=True,
            hostname="mailbox.localhost",
            ident="Heliograph mailbox",
            timeout=_IDLE_SECONDS,
            loop=loop,
        )

    server = await loop.create_server(connection, host, port)
    try:
        yield
    finally:
        server.close()
        await server.wait_closed()
