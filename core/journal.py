"""A durable journal: records appended and synced before anyone is answered, read back after any crash.

One record a line that a person can read: its number, a checksum, a JSON object. The checksum covers the file's own
random epoch, so that old bytes behind the tail, or lines of another file, never pass for records. A torn tail is
dropped (it was never acknowledged); damage before an intact record is refused aloud (`JournalDamaged`), and so is a file
that the disk does not give back.

After a write or a sync that failed, the file is never touched again: the kernel may have dropped the pages and the
next sync would claim success. The next append begins a new file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING

from core.clock import Clock, utc_now
from core.errors import JournalDamaged, JournalNewer, JournalWriteFailed
from core.hooks import NO_HOOKS, Hooks, Read

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SUFFIX = ".journal"
DAMAGED_SUFFIX = ".damaged"
VERSION = 1
_HEADER = re.compile(rb"heliograph-journal (\d+) ([0-9a-f]{16}) (\S+) ([0-9a-f]{8})\n")
_HEADER_BYTES = 96
_FRAME_BYTES = 32
"""No header and no frame of a record is longer, so that room is judged before anything is written."""
_BLOCK_BYTES = 4096
"""What a disk loses at once."""
_RECORD_START = re.compile(rb"(?=\d+ [0-9a-f]{8} )")


@dataclass(frozen=True)
class Record:
    """One durable record. `number` counts from 1 within its file; `payload` is the bytes of a JSON object."""

    number: int
    payload: bytes


class Journal:
    """The writing side: one open file in `folder`, held by a lock so that nobody drains it meanwhile."""

    def __init__(
        self,
        folder: Path,
        *,
        file_bytes_max: int,
        total_bytes_max: int,
        clock: Clock = utc_now,
        hooks: Hooks = NO_HOOKS,
    ) -> None:
        self._folder = folder
        self._file_bytes_max = file_bytes_max
        self._total_bytes_max = total_bytes_max
        self._clock = clock
        self._step, self._sync = hooks.step, hooks.sync
        self._file: FileIO | None = None
        self._epoch = b""
        self._number = 0
        self._size = 0
        self._room_bytes = 0

    def append(self, payloads: Sequence[bytes]) -> list[int]:
        """Write all `payloads` and sync once; when this returns they are durable. Returns their numbers.

        Raises `JournalWriteFailed` when the disk does not confirm; then they may or may not be there, and nothing may
        be acknowledged.
        """
        if any(b"\n" in payload for payload in payloads):
            raise ValueError("a record is one line")
        try:
            return self._append(payloads)
        except OSError as error:
            self._abandon()
            hint = f"make room on, or repair, the disk that holds {self._folder}"
            raise JournalWriteFailed(f"the journal could not be written: {error.strerror}", hint=hint) from error

    def rotate(self) -> None:
        """Close the open file, so that it can be drained; the next append begins a new one."""
        self._abandon()

    close = rotate

    def _append(self, payloads: Sequence[bytes]) -> list[int]:
        self._check_room(_HEADER_BYTES + sum(len(payload) + _FRAME_BYTES for payload in payloads))
        file = self._file if self._file and self._size < self._file_bytes_max else self._begin()
        first = self._number + 1
        lines = [_line(self._epoch, first + offset, payload) for offset, payload in enumerate(payloads)]
        body = b"".join(lines)
        self._step("write")
        _write(file, body)
        self._step("sync")
        self._sync(file.fileno())
        self._step("answer")
        self._number += len(payloads)
        self._size += len(body)
        return list(range(first, first + len(payloads)))

    def _begin(self) -> FileIO:
        self._abandon()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._epoch = secrets.token_hex(8).encode()
        created = self._clock().astimezone(UTC)
        path = self._folder / f"{created:%Y%m%dT%H%M%S.%f}-{self._epoch.decode()}{SUFFIX}"
        begun = path.with_suffix(".begun")
        file = begun.open("xb", buffering=0)
        self._file = file  # held from here on, so that a failure below still closes it
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        header = _header(self._epoch, created)
        try:
            _write(file, header)
            self._sync(file.fileno())
        except OSError:
            begun.unlink(missing_ok=True)  # or a broken disk would leave a file a try
            raise
        begun.rename(path)  # only now: a reader must never find it without its lock, and remove it as finished
        _sync_folder(self._folder)
        self._number, self._size = 0, len(header)
        return file

    def _check_room(self, coming: int) -> None:
        """Refuse what would pass the limit. The folder is measured once a file's worth, not at every append."""
        if self._room_bytes < coming:
            self._room_bytes = min(self._total_bytes_max - backlog_bytes(self._folder), self._file_bytes_max + coming)
        if self._room_bytes < coming:
            raise OSError(errno.ENOSPC, f"the journal's own limit of {self._total_bytes_max} bytes is reached")
        self._room_bytes -= coming

    def _abandon(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()


class JournalFile:
    """The reading side: one file that nobody writes any more."""

    def __init__(self, path: Path, *, read: Read = os.pread) -> None:
        self.path = path
        self.damage = ""
        self._read = read
        self._mark_path = path.with_suffix(SUFFIX + ".done")

    @property
    def mark(self) -> int:
        """The number up to which records were applied; 0 at first. Losing it costs time, never correctness."""
        try:
            return int(self._mark_path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def set_mark(self, number: int) -> None:
        """Note that all records up to `number` were applied."""
        fresh = self._mark_path.with_suffix(".new")
        fresh.write_text(str(number), encoding="ascii")
        fresh.replace(self._mark_path)

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Keep everybody else from draining the file while the block runs; False when somebody does, or it is gone."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            yield False
            return
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield self.path.exists()  # it may have been drained between opening and locking it

    def records(self, *, after: int = 0, skip_damaged: bool = False) -> Iterator[Record]:
        """The records after number `after`, in order. Raises `JournalDamaged` on damage that is not a torn tail, and where
        the file cannot be opened or the disk does not give it back.

        With `skip_damaged` it yields every intact record, and says in `damage` what it passed over.
        """
        with _Reading(self.path, self._read, passes_over=skip_damaged) as raw, BufferedReader(raw) as file:
            yield from self._records(file, after, skip_damaged=skip_damaged)
            self.damage = raw.damage or self.damage

    def _records(self, file: BufferedReader[_Reading], after: int, *, skip_damaged: bool) -> Iterator[Record]:
        try:
            epoch = self._epoch_of(file)
        except JournalNewer:
            raise
        except JournalDamaged as damage:
            epoch = self._epoch_of_name()
            if not skip_damaged or epoch is None:
                raise
            self.damage = str(damage)
            file.seek(0)
            yield from self._beyond(epoch, file.read(), 1, after, skip_damaged=True)
            return
        if epoch is None:
            return
        expected = 1
        for line in file:
            record = _parse(epoch, line)
            if record is None or record.number != expected:
                yield from self._beyond(epoch, line + file.read(), expected, after, skip_damaged=skip_damaged)
                return
            expected += 1
            if record.number > after:
                yield record

    def set_aside(self) -> Path:
        """Keep the file under another name, where no replay looks, for a person to look at. Returns the new path."""
        aside = self.path.with_suffix(DAMAGED_SUFFIX)
        self.path.replace(aside)
        self._mark_path.unlink(missing_ok=True)
        _sync_folder(self.path.parent)
        return aside

    def remove(self) -> None:
        """Delete the file and its mark: everything in it was applied."""
        self.path.unlink(missing_ok=True)
        self._mark_path.unlink(missing_ok=True)
        _sync_folder(self.path.parent)

    def _epoch_of(self, file: BufferedReader[_Reading]) -> bytes | None:
        line = file.readline()
        match = _HEADER.fullmatch(line)
        if match is None or _checksum(line[:-10]) != match[4]:
            if file.read(1):
                raise JournalDamaged(f"{self.path.name}: its first line is not a journal header")
            return None  # the process died while it began the file: nothing in it was acknowledged
        if int(match[1]) != VERSION:
            raise JournalNewer(
                f"{self.path.name}: written in version {int(match[1])} of the format; this program reads {VERSION}",
                hint="let the newer version of Heliograph drain it; nothing in it was changed",
            )
        return match[2]

    def _epoch_of_name(self) -> bytes | None:
        match = re.search(r"-([0-9a-f]{16})$", self.path.stem)
        return match[1].encode() if match else None

    def _beyond(self, epoch: bytes, rest: bytes, expected: int, after: int, *, skip_damaged: bool) -> Iterator[Record]:
        """Damage is a torn tail when no intact record follows, at whatever byte it may begin."""
        for record in _intact(epoch, rest, expected):
            what = f"{self.path.name}: record {expected} is damaged and intact ones follow"
            if not skip_damaged:
                raise JournalDamaged(
                    what,
                    hint="keep the file; `heliograph journal verify` shows the place, and "
                    "`heliograph journal replay --skip-damaged` applies all that is intact",
                )
            self.damage = self.damage or what
            if record.number > after:
                yield record


class _Reading(RawIOBase):
    """A file as the disk gives it back. Where that fails it raises `JournalDamaged`, or with `passes_over` reads zeros to
    the end of the block, which no record is made of, and says so in `damage`."""

    def __init__(self, path: Path, read: Read, *, passes_over: bool) -> None:
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            what = f"{path.name}: it cannot be opened: {error.strerror}"
            raise JournalDamaged(what, hint="look at the file, who may read it, and the disk it lies on") from error
        self._name, self._read, self._passes_over = path.name, read, passes_over
        self._size = os.fstat(self._file.fileno()).st_size
        self._place = 0
        self.damage = ""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        wanted = memoryview(buffer)
        try:
            found = self._read(self._file.fileno(), len(wanted), self._place)
        except OSError as error:
            found = self._passed_over(error, len(wanted))
        wanted[: len(found)] = found
        self._place += len(found)
        return len(found)

    def _passed_over(self, error: OSError, most: int) -> bytes:
        what = f"{self._name}: the disk does not give back what is at byte {self._place}: {error.strerror}"
        if not self._passes_over:
            raise JournalDamaged(what, hint="keep the file, and repair the disk") from error
        self.damage = self.damage or what
        return bytes(max(0, min(most, _BLOCK_BYTES - self._place % _BLOCK_BYTES, self._size - self._place)))

    def close(self) -> None:
        self._file.close()
        super().close()


def closed_files(folder: Path, *, read: Read = os.pread) -> Iterator[JournalFile]:
    """The files of `folder` that nobody writes, oldest first; one that cannot be opened is among them."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if not _is_locked(path):
            yield JournalFile(path, read=read)


def backlog_bytes(folder: Path) -> int:
    """The size of all journal files in `folder`, the open one included."""
    return sum(map(_size_of, folder.glob(f"*{SUFFIX}")))


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # drained and removed since it was listed; or whoever reads it tells what is wrong with it


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return True  # drained and removed by another process since it was listed
    except OSError:
        return False  # for whoever reads it to tell: it must not hide those after it


def _write(file: FileIO, content: bytes) -> None:
    written = file.write(content)
    if written != len(content):  # unbuffered: a disk that fills up takes a part
        raise OSError(errno.ENOSPC, "No space left on device")


def _header(epoch: bytes, created: datetime) -> bytes:
    head = b"heliograph-journal %d %s %s" % (VERSION, epoch, created.isoformat().encode())
    return b"%s %s\n" % (head, _checksum(head))


def _line(epoch: bytes, number: int, payload: bytes) -> bytes:
    return b"%d %s %s\n" % (number, _checksum(b"%s %d %s" % (epoch, number, payload)), payload)


def _parse(epoch: bytes, line: bytes) -> Record | None:
    number, _, rest = line.partition(b" ")
    checksum, _, payload = rest.partition(b" ")
    if not line.endswith(b"\n") or not number.isdigit():
        return None
    payload = payload[:-1]
    if _checksum(b"%s %s %s" % (epoch, number, payload)) != checksum:
        return None
    return Record(int(number), payload)


def _intact(epoch: bytes, rest: bytes, expected: int) -> Iterator[Record]:
    """The records of `rest` that are whole, from number `expected` on, at whatever byte each may begin."""
    for start in _RECORD_START.finditer(rest):
        end = rest.find(b"\n", start.start()) + 1
        record = _parse(epoch, rest[start.start() : end]) if end else None
        if record is not None and record.number >= expected:
            expected = record.number + 1
            yield record


def _checksum(content: bytes) -> bytes:
    return b"%08x" % zlib.crc32(content)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
