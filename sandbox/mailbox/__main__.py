"""`python -m sandbox.mailbox`: both sides of the mailbox in one process, on loopback unless told otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import uvicorn
from litestar import Litestar

from sandbox.mailbox.smtp import MAIL_BYTES_MAX, smtp_server
from sandbox.mailbox.store import MailFolder
from sandbox.mailbox.web import create_app

_PORT = click.IntRange(1, 65_535)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--smtp-port", type=_PORT, required=True, help="Port that takes mails.")
@click.option("--http-port", type=_PORT, required=True, help="Port of the readable mailbox.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where mails are kept.")
@click.option("--mail-bytes-max", default=MAIL_BYTES_MAX, show_default=True, help="Largest mail taken.")
def main(host: str, smtp_port: int, http_port: int, folder: Path, mail_bytes_max: int) -> None:
    """Take every mail by SMTP, send none on, and show them on a web page."""
    try:
        mails = MailFolder(folder)
    except OSError as error:
        raise click.ClickException(f"cannot use the folder {folder}: {error.strerror}") from error

    @asynccontextmanager
    async def smtp(_app: Litestar) -> AsyncIterator[None]:
        async with smtp_server(mails, host=host, port=smtp_port, mail_bytes_max=mail_bytes_max):
            yield

    app = create_app(mails, smtp_address=f"{host}:{smtp_port}", lifespan=smtp)
    uvicorn.run(app, host=host, port=http_port, log_level="info", access_log=False)


if __name__ == "__main__":
    main()
