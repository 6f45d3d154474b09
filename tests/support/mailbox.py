"""A mail server that keeps what it takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.children import Process, http_answers, launch, wait_until_ready
from sandbox.mailbox.store import MailFolder
from sandbox.ports import free_ports


@contextmanager
def running_mailbox(folder: Path) -> Iterator[tuple[int, MailFolder]]:
    """Its port, and what it has taken."""
    smtp, http = free_ports(2)
    argv = [sys.executable, "-m", "sandbox.mailbox", f"--smtp-port={smtp}", f"--http-port={http}"]
    child = launch(
        Process(
            name="mailbox",
            argv=[*argv, f"--folder={folder / 'mails'}"],
            is_ready=http_answers(f"http://127.0.0.1:{http}/healthz"),
            ports=[smtp, http],
        ),
        folder,
    )
    wait_until_ready(child)
    try:
        yield smtp, MailFolder(folder / "mails")
    finally:
        child.stop()
