"""Reads the reports that were sent, as the scheduler keeps them in `[reports] folder`: which there are, and each as a page."""

from __future__ import annotations

import base64
import email
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from email.message import EmailMessage
from email.policy import default
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


def sent_reports(folder: Path) -> list[SentReport]:
    """Those that are kept, the latest first; what cannot be read is passed over. Raises `OSError` for the folder alone."""
    if not folder.exists():
        return []
    found = [report for path in folder.iterdir() if path.is_dir() and (report := _report(path)) is not None]
    return sorted(found, key=lambda one: (one.begins, one.kind, one.sent_at), reverse=True)


def page_of(folder: Path, report_id: str) -> str | None:
    """The HTML of a report with its pictures inside, for a frame of a browser; None when it is not there any more."""
    mail = _mail(folder, report_id)
    return page(mail) if mail is not None else None


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


def attachments_of(folder: Path, report_id: str) -> dict[str, bytes]:
    """The files that came with a report, by name."""
    mail = _mail(folder, report_id)
    files: Iterator[EmailMessage] = mail.iter_attachments() if mail is not None else iter(())
    return {part.get_filename() or "file": _content(part) for part in files}


def _report(path: Path) -> SentReport | None:
    kind, _, rest = path.name.partition("-")
    if kind not in KINDS:
        return None
    try:
        begins = date.fromisoformat(rest[:10])
        sent_at = datetime.fromisoformat(json.loads((path / "sent.json").read_text(encoding="utf-8"))["at"])
        mail = email.message_from_bytes(_head((path / "mail.eml").read_bytes()), policy=default)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    recipients = len(mail["To"].addresses) if mail["To"] else 0
    return SentReport(path.name, kind, begins, sent_at, str(mail["Subject"]), recipients)


def _mail(folder: Path, report_id: str) -> EmailMessage | None:
    if Path(report_id).name != report_id:
        return None  # a name, never a way to other folders
    try:
        content = (folder / report_id / "mail.eml").read_bytes()
    except OSError:
        return None
    mail = email.message_from_bytes(content, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


def _head(content: bytes) -> bytes:
    return content.partition(b"\n\n")[0] + b"\n\n"


def _content(part: object) -> bytes:
    assert isinstance(part, EmailMessage)
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
