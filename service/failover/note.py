"""The word on how the stores stand: from instance to instance through the backup, from process to process in a file."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import msgspec

from service.failover.status import Status

STATUS_FILE = "status.json"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What instances tell each other, and what a process tells its successor. `renewed_at` is moved on by whoever still
    has a journal to replay; the others wait for it to stay as it is.

    `epoch` numbers the words on the primary store: whoever gives one counts on from the highest that he has heard, so that
    no clock says whose is the later. It is 0 in a note of a version that went by `since`.
    """

    status: Status
    since: datetime
    reason: str
    by: str
    renewed_at: datetime
    epoch: int = 0

    @property
    def order(self) -> int:
        """A later word has a greater one; of two of the same epoch the word that the primary store is down counts."""
        return 2 * self.epoch + (self.status in (Status.MYSQL_FATAL, Status.BOTH_FATAL))


def encode_note(note: Note) -> bytes:
    return msgspec.json.encode(note)


def decode_note(body: bytes) -> Note | None:
    """The note, or None when there is none that this version understands."""
    try:
        return msgspec.json.decode(body, type=Note) if body else None
    except (msgspec.MsgspecError, ValueError):
        return None


def load_note(folder: Path) -> Note | None:
    """What the process before this one left behind."""
    try:
        return decode_note((folder / STATUS_FILE).read_bytes())
    except OSError:
        return None


def keep_note(folder: Path, note: Note) -> None:
    """Leave it for the next process, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{STATUS_FILE}.new"
    with fresh.open("wb") as file:
        file.write(encode_note(note))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / STATUS_FILE)
