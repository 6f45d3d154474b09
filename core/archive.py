"""Reads the reports that were sent, as the scheduler keeps them in `[reports] folder`: which there are, and each as a page.

It also says in what words one of them is asked for again.
"""

from __future__ import annotations

import base64
import email
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.message import EmailMessage
from email.policy import default
from hashlib import sha256
from pathlib import Path

KINDS = ("daily", "weekly", "monthly")


@dataclass(frozen=True)
class SentReport:
    """One report that a mail server took. `begins` is the first day it is about; `id` names it."""

    id: str
    kind: str
    begins: date
    sent_at: datetime
    subject: str
    recipients: int


@dataclass(frozen=True)
class Content:
    """The HTML of a report with its pictures inside, for a frame of a browser; and the files that came with it, by name."""

    html: str
    files: dict[str, bytes]


def sent_reports(folder: Path) -> list[SentReport]:
    """Those that are kept, the latest first; what cannot be read is passed over. Raises `OSError` for the folder alone."""
    if not folder.exists():
        return []
    found = [report for path in folder.iterdir() if path.is_dir() and (report := _report(path)) is not None]
    return sorted(found, key=lambda one: (one.begins, one.kind, one.sent_at), reverse=True)


def content_of(folder: Path, report_id: str) -> Content | None:
    """What its readers got; None when it is not there any more. Takes a twentieth of a second for a mail of a megabyte."""
    mail = kept_mail(folder, report_id)
    if mail is None:
        return None
    files: Iterator[EmailMessage] = mail.iter_attachments()
    return Content(page(mail), {part.get_filename() or "file": _content(part) for part in files})


def kept_mail(folder: Path, report_id: str) -> EmailMessage | None:
    """The mail as it was sent; None when it is not there any more, or the name is none of a report."""
    if Path(report_id).name != report_id or report_id.partition("-")[0] not in KINDS:
        return None  # a name, never a way to other folders
    try:
        content = (folder / report_id / "mail.eml").read_bytes()
    except OSError:
        return None
    mail = email.message_from_bytes(content, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def once_more(report_id: str, recipients: Sequence[str]) -> str:
    """What a wish is about that a report be sent again to these people. It does not name them: who fulfils it has to have
    the same ones configured."""
    people = "\n".join(sorted({one.casefold() for one in recipients}))
    return f"{report_id} {sha256(people.encode()).hexdigest()[:16]}"


def report_of(about: str) -> str:
    """The report that such a wish is about."""
    return about.partition(" ")[0]


def page(mail: EmailMessage) -> str:
    """The HTML of a mail with its pictures inside; empty for one without HTML."""
    body = mail.get_body(("html",))
    html = str(body.get_content()) if body is not None else ""
    for part in mail.walk():
        cid = str(part.get("Content-ID", "")).strip("<>")
        if cid:
            data = base64.b64encode(_content(part)).decode()
            html = html.replace(f'"cid:{cid}"', f'"data:{part.get_content_type()};base64,{data}"')
    return html


def _report(path: Path) -> SentReport | None:
    kind, _, rest = path.name.partition("-")
    if kind not in KINDS:
        return None
    try:
        begins = date.fromisoformat(rest[:10])
        sent_at = datetime.fromisoformat(json.loads((path / "sent.json").read_text(encoding="utf-8"))["at"])
        mail = email.message_from_bytes(_head(path / "mail.eml"), policy=default)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    recipients = len(mail["To"].addresses) if mail["To"] else 0
    return SentReport(path.name, kind, begins, sent_at, str(mail["Subject"]), recipients)


def _head(path: Path) -> bytes:
    """The lines up to the first empty one: there may be hundreds of mails, of a megabyte each."""
    with path.open("rb") as file:
        lines: Iterator[bytes] = itertools.takewhile(lambda line: line.strip(), file)
        return b"".join(lines) + b"\n"


def _content(part: object) -> bytes:
    assert isinstance(part, EmailMessage)
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
