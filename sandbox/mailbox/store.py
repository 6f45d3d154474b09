"""A folder of mails, one `.eml` file each, written whole or not at all; and a mail taken apart for reading."""

from __future__ import annotations

import base64
import contextlib
import email
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from email.policy import default
from email.utils import parseaddr
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from core.clock import Clock, utc_now
from sandbox.errors import MailMissing

# The moment it came in, to the microsecond, so that names sort by time; then a few letters against two in the same one.
_TIME = "%Y%m%dT%H%M%S.%fZ"
_ID = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8}")
_CID = re.compile(r"cid:([^\"'\s)>&]+)", re.IGNORECASE)
_HEADERS_SHOWN = ("From", "To", "Cc", "Reply-To", "Date", "Message-ID")


@dataclass(frozen=True)
class Summary:
    """A row of the list. `received_at` is the time of the sink, aware and in UTC."""

    id: str
    received_at: datetime
    sender: str
    sender_name: str
    recipients: str
    subject: str
    attachments: int


@dataclass(frozen=True)
class Part:
    """An attachment or an embedded picture. `index` is its place among the parts of the mail."""

    index: int
    name: str
    content_type: str
    content: bytes
    content_id: str
    attached: bool


@dataclass(frozen=True)
class Mail:
    """A mail taken apart. `html` has its `cid:` pictures put in place; None where there is no such part."""

    summary: Summary
    headers: list[tuple[str, str]]
    envelope_from: str
    envelope_to: str
    html: str | None
    text: str | None
    parts: list[Part]


class MailFolder:
    """Mails on disk, found by id."""

    def __init__(self, folder: Path, *, clock: Clock = utc_now) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._clock = clock

    def add(self, content: bytes, *, envelope_from: str, envelope_to: list[str]) -> str:
        """Keep a mail under a new id, with its envelope on top as `Return-Path` and `Delivered-To`. Raises `OSError`."""
        mail_id = f"{self._clock().astimezone(UTC).strftime(_TIME)}-{secrets.token_hex(4)}"
        envelope = [f"Return-Path: <{envelope_from}>", *(f"Delivered-To: {address}" for address in envelope_to)]
        fresh = self._folder / f".{mail_id}.new"
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write("".join(f"{line}\r\n" for line in envelope).encode() + content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._folder / f"{mail_id}.eml")
        return mail_id

    def ids(self) -> list[str]:
        """Newest first."""
        names = (path.stem for path in self._folder.glob("*.eml"))
        return sorted((name for name in names if _ID.fullmatch(name)), reverse=True)

    def list(self, *, limit: int) -> list[Summary]:
        """The newest `limit`."""
        summaries = []
        for mail_id in self.ids()[:limit]:
            with contextlib.suppress(FileNotFoundError):  # taken away since it was listed
                summaries.append(_summary_of(self._folder / f"{mail_id}.eml"))
        return summaries

    def raw(self, mail_id: str) -> bytes:
        """The file as it lies there. Raises `MailMissing`."""
        if not _ID.fullmatch(mail_id):
            raise MailMissing("a mail has no such id")
        try:
            return (self._folder / f"{mail_id}.eml").read_bytes()
        except FileNotFoundError:
            raise MailMissing(f"there is no mail {mail_id}", hint="it may have been removed from the folder") from None

    def get(self, mail_id: str) -> Mail:
        """The mail taken apart. Raises `MailMissing`."""
        return take_apart(mail_id, self.raw(mail_id))


@lru_cache(maxsize=2_000)
def _summary_of(path: Path) -> Summary:
    """Files never change once they are there."""
    return take_apart(path.stem, path.read_bytes()).summary


def take_apart(mail_id: str, raw: bytes) -> Mail:
    """Whatever the bytes are: a mail that defeats the parser of the standard library is shown as its source."""
    try:
        return _take_apart(mail_id, _parse(raw))
    except Exception as error:  # noqa: BLE001  of 30,000 damaged mails 8 raised: IndexError, ValueError, whatever it stumbled over
        note = f"(This mail is damaged, {type(error).__name__}; here is its source.)\n\n"
        summary = Summary(mail_id, _received_at(mail_id), "", "", "", "(damaged mail)", 0)
        return Mail(summary, [], "", "", None, note + raw.decode("utf-8", "replace"), [])


def _take_apart(mail_id: str, message: EmailMessage) -> Mail:
    parts = list(_parts(message))
    html = _body(message, "html")
    return Mail(
        summary=_summary(mail_id, message, attachments=sum(part.attached for part in parts)),
        headers=[(name, _header(message, name)) for name in _HEADERS_SHOWN if name in message],
        envelope_from=_header(message, "Return-Path").strip("<>"),
        envelope_to=_delivered_to(message),
        html=None if html is None else _with_pictures(html, parts),
        text=_body(message, "plain"),
        parts=parts,
    )


def _parse(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=default)


def _summary(mail_id: str, message: EmailMessage, *, attachments: int) -> Summary:
    sender = _header(message, "From") or _header(message, "Return-Path").strip("<>")
    return Summary(
        id=mail_id,
        received_at=_received_at(mail_id),
        sender=sender,
        sender_name=parseaddr(sender)[0] or sender,
        recipients=_header(message, "To") or _delivered_to(message),
        subject=_header(message, "Subject"),
        attachments=attachments,
    )


def _received_at(mail_id: str) -> datetime:
    return datetime.strptime(mail_id.partition("-")[0], _TIME).replace(tzinfo=UTC)


def _delivered_to(message: EmailMessage) -> str:
    return ", ".join(str(value) for value in message.get_all("Delivered-To", []))


def _header(message: EmailMessage, name: str) -> str:
    """The parser of the standard library raises on some headers that are broken enough; those are shown as they came."""
    try:
        return str(message.get(name, ""))
    except Exception:  # noqa: BLE001  it raises what it happens to stumble over: IndexError, AttributeError, ...
        return next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")


def _body(message: EmailMessage, kind: str) -> str | None:
    part = next(
        (
            part
            for part in message.walk()
            if part.get_content_type() == f"text/{kind}" and part.get_content_disposition() != "attachment"
        ),
        None,
    )
    return None if part is None else _text(part)


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):  # a character set nobody knows, or with a NUL in its name
        return content.decode("utf-8", "replace")


def _parts(message: EmailMessage) -> Iterator[Part]:
    """Everything that is not a body: attachments, and pictures the HTML refers to."""
    for index, part in enumerate(message.walk()):
        content_type = part.get_content_type()
        attached = part.get_content_disposition() == "attachment"
        content_id = str(part.get("Content-ID", "")).strip(" <>")
        if part.is_multipart() or (content_type in ("text/plain", "text/html") and not attached):
            continue
        payload = part.get_payload(decode=True)
        yield Part(
            index=index,
            name=part.get_filename() or f"part-{index}",
            content_type=content_type,
            content=payload if isinstance(payload, bytes) else b"",
            content_id=content_id,
            attached=attached or not content_id,
        )


def _with_pictures(html: str, parts: list[Part]) -> str:
    """Pictures go in as data: the page that shows the mail may then be forbidden to fetch anything at all."""
    pictures = {part.content_id: part for part in parts if part.content_id and part.content_type.startswith("image/")}

    def data_url(found: re.Match[str]) -> str:
        part = pictures.get(found[1]) or pictures.get(unquote(found[1]))
        if part is None:
            return found[0]
        return f"data:{part.content_type};base64,{base64.b64encode(part.content).decode('ascii')}"

    return _CID.sub(data_url, html)
