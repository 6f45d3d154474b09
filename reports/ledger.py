"""Knows which reports were sent and what they said, in files that all schedulers share.

Promises that of several schedulers one at a time works on a report, and that one found as sent was taken by the mail
server. Refuses to answer when the folder cannot be read: a report is then not sent.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import structlog

from core.archive import kept_mail
from core.clock import Clock
from core.files import held, replace_whole, sync_folder
from metrics.readings import Reading
from reports.errors import LedgerUnavailable
from reports.gather import Figures
from reports.spans import Span

_log = structlog.get_logger(__name__)

HANDING_OVER, SENT, REST, FAILED = "handing over", "sent", "sent to the rest", "failed"


class Ledger:
    """The folder: one subfolder for each (report, span, recipients), and the figures that each report gave."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def entry(self, span: Span, recipients: Sequence[str]) -> Entry:
        """The place of one report to these recipients, in whatever order they are named."""
        key = "\n".join([span.kind, span.date.isoformat(), span.zone, *sorted({one.casefold() for one in recipients})])
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        folder = self._folder / f"{span.kind}-{span.date}-{digest}"
        return Entry(folder, f"{span.kind}.{span.date}.{digest}", self._clock)

    def kept(self, report_id: str) -> Entry:
        """The place of a report that was sent, by the name of its subfolder."""
        return Entry(self._folder / report_id, report_id, self._clock)

    def figures_of(self, span: Span) -> Figures | None:
        """What the first report of `span` said; None when none was kept, or it was of another time zone's day."""
        path = self._figures_path(span)
        with _translated(self._folder):
            try:
                kept = json.loads(path.read_text(encoding="utf-8"))
                return _figures(kept) if kept["time_zone"] == span.zone else None
            except FileNotFoundError:
                return None
            except (ValueError, KeyError, TypeError) as error:
                _log.warning("kept figures cannot be read", file=path.name, reason=type(error).__name__)
                return None

    def keep_figures(self, span: Span, figures: Figures) -> None:
        """Keep what a report of `span` said, unless an earlier one of it did."""
        if self.figures_of(span) is not None:
            return
        values = {slug: [one.value, one.n, one.settled, one.p95] for slug, one in figures.items()}
        with _translated(self._folder):
            _write(self._figures_path(span), {"v": 1, "time_zone": span.zone, "figures": values})

    def _figures_path(self, span: Span) -> Path:
        return self._folder / f"{span.kind}-{span.date}.figures.json"


def _figures(kept: dict[str, Any]) -> Figures:
    return {slug: Reading(*row) for slug, row in kept["figures"].items()}


@dataclass(frozen=True)
class Entry:
    """One report to certain recipients. `name` is the same for all schedulers, and part of the mail's Message-ID."""

    folder: Path
    name: str
    clock: Clock

    @property
    def sent_at(self) -> datetime | None:
        """When the mail server took it; None while it has not."""
        with _translated(self.folder):
            try:
                text = (self.folder / "sent.json").read_text(encoding="utf-8")
            except FileNotFoundError:
                return None
        return datetime.fromisoformat(json.loads(text)["at"])

    @property
    def left(self) -> tuple[str, ...]:
        """Who still has to get it, where the others have it."""
        with _translated(self.folder):
            try:
                return tuple(json.loads((self.folder / "left.json").read_text(encoding="utf-8")))
            except FileNotFoundError:
                return ()

    @property
    def mail(self) -> EmailMessage | None:
        """As it was handed over; None when it is not there any more."""
        return kept_mail(self.folder.parent, self.folder.name)

    @contextmanager
    def claim(self) -> Iterator[Claim | None]:
        """Nobody else works on this report while the block runs; None when somebody does.

        The lock is the kernel's: it ends with the process that holds it, however that ends.
        """
        with ExitStack() as stack:
            with _translated(self.folder):
                is_ours = stack.enter_context(held(self.folder / "lock"))
            yield Claim(self) if is_ours else None

    def history(self) -> list[dict[str, Any]]:
        """What happened to it, oldest first; a line torn by a crash is passed over."""
        with _translated(self.folder):
            try:
                lines = (self.folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
            except FileNotFoundError:
                return []
        return [row for line in lines if (row := _row(line))]


class Claim:
    """The right to send one report, as long as the block of `Entry.claim` runs."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    @property
    def was_cut_off(self) -> bool:
        """An earlier hand-over has no known end: the mail may have been taken."""
        history = self._entry.history()
        return bool(history) and history[-1]["what"] == HANDING_OVER

    @property
    def times_sent(self) -> int:
        """How often it was sent, on demand included."""
        return sum(row["what"] == SENT for row in self._entry.history())

    def end_of(self, wish: str) -> dict[str, Any] | None:
        """The line that says how an operator's wish to send it again came out; None while it has no end."""
        ends = (row for row in self._entry.history() if row["what"] in (SENT, FAILED))
        return next((row for row in ends if wish in row.get("wishes", "").split()), None)

    def hand_over(self, mail: bytes) -> None:
        """Note that `mail` is about to be given to the mail server, and keep it. What is written after needs no room."""
        folder = self._entry.folder
        with _translated(folder):
            replace_whole(folder / "mail.eml", mail)
            replace_whole(folder / "sent.next", json.dumps({"at": self._entry.clock().isoformat()}).encode())
        self.note(HANDING_OVER)

    def sent(self, *, left: Sequence[str] = ()) -> None:
        """The mail server took it, but for those who are `left`. From here on nobody sends it to the others again."""
        folder = self._entry.folder
        with _translated(folder):
            _keep_left(folder, left)
            (folder / "sent.next").replace(folder / "sent.json")
            sync_folder(folder)
        self.note(SENT)

    def rest(self, *, left: Sequence[str]) -> None:
        """Of those who were left only these do not have it yet."""
        folder = self._entry.folder
        with _translated(folder):
            _keep_left(folder, left)
        self.note(REST)

    def note(self, what: str, **details: str) -> None:
        """Add a line to the history."""
        line = json.dumps({"at": self._entry.clock().isoformat(), "what": what, **details}, ensure_ascii=False)
        path = self._entry.folder / "history.jsonl"
        with _translated(self._entry.folder), path.open("a", encoding="utf-8") as file:
            file.write(f"\n{line}" if _is_torn(path) else line)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())


def _keep_left(folder: Path, left: Sequence[str]) -> None:
    if left:
        _write(folder / "left.json", list(left))
    else:
        (folder / "left.json").unlink(missing_ok=True)


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and "what" in row else None


def _is_torn(path: Path) -> bool:
    content = path.read_bytes() if path.exists() else b""
    return bool(content) and not content.endswith(b"\n")


def _write(path: Path, value: dict[str, Any] | list[str]) -> None:
    replace_whole(path, json.dumps(value, ensure_ascii=False, indent=1).encode())


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerUnavailable(
            f"the folder of the reports, {folder}, cannot be used: {error.strerror}", hint="check [reports] folder"
        ) from error
