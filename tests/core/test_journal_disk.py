"""A disk that is full, broken or slow: nothing is acknowledged before it is durable, and a file whose sync failed is never synced again."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import Counter
from pathlib import Path
from threading import Event

import pytest

from core.errors import JournalWriteFailed
from core.hooks import Hooks
from core.journal import Journal, JournalFile, closed_files
from core.lane import Lane


class Disk:
    """The word of a disk: `fails_with` is raised by every sync until it is mended. Remembers what was synced, by file."""

    def __init__(self) -> None:
        self.fails_with: int = 0
        self.failed: set[str] = set()
        self.synced: Counter[str] = Counter()

    def sync(self, descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        assert name not in self.failed, "a file is synced again after its sync failed"
        if self.fails_with:
            self.failed.add(name)
            raise OSError(self.fails_with, os.strerror(self.fails_with))
        os.fdatasync(descriptor)
        self.synced[name] += 1


def journal(folder: Path, disk: Disk) -> Journal:
    return Journal(folder, file_bytes_max=1 << 20, total_bytes_max=1 << 30, hooks=Hooks(sync=disk.sync))


def read(folder: Path) -> set[bytes]:
    return {record.payload for file in closed_files(folder) for record in file.records()}


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_whenever_the_disk_fails_nothing_is_acknowledged_and_it_goes_on_in_a_new_file(tmp_path: Path, code: int):
    disk = Disk()
    writer = journal(tmp_path, disk)
    acknowledged: set[bytes] = set()
    told: list[str] = []
    for number in range(60):
        disk.fails_with = code if number % 7 in (0, 3, 4) else 0
        payload = b'{"n":%d}' % number
        try:
            writer.append([payload])
            acknowledged.add(payload)
        except JournalWriteFailed as failed:
            told.append(failed.hint)
    writer.close()

    assert len(acknowledged) == sum(number % 7 not in (0, 3, 4) for number in range(60))
    assert acknowledged <= read(tmp_path)
    assert disk.failed
    assert all(str(tmp_path) in hint for hint in told)


def test_what_was_begun_when_the_disk_failed_is_no_file_to_drain(tmp_path: Path):
    disk = Disk()
    disk.fails_with = errno.ENOSPC
    with pytest.raises(JournalWriteFailed):
        journal(tmp_path, disk).append([b"{}"])

    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_in_the_middle_of_a_batch_leaves_a_torn_tail(tmp_path: Path):
    disk = Disk()
    writer = journal(tmp_path, disk)
    writer.append([b'{"n":1}'])
    disk.fails_with = errno.ENOSPC
    with pytest.raises(JournalWriteFailed):
        writer.append([b'{"n":2}', b'{"n":3}'])
    [path] = tmp_path.glob("*.journal")
    whole = path.read_bytes()
    for length in range(whole.rindex(b'{"n":1}') + len(b'{"n":1}\n'), len(whole)):
        path.write_bytes(whole[:length])
        found = [record.payload for record in JournalFile(path).records()]

        assert found in ([b'{"n":1}'], [b'{"n":1}', b'{"n":2}'])


async def test_nobody_is_answered_while_the_disk_takes_its_time_and_all_share_its_sync(tmp_path: Path):
    started, may_end, syncs = Event(), Event(), list[int]()

    def slow(descriptor: int) -> None:
        if syncs:  # the header is quick
            started.set()
            may_end.wait()
        syncs.append(descriptor)

    writer = Journal(tmp_path, file_bytes_max=1 << 20, total_bytes_max=1 << 30, hooks=Hooks(sync=slow))

    def append(batch: list[bytes]) -> list[None]:
        writer.append(batch)
        return [None] * len(batch)

    lane = Lane("slow-disk", append, batch_max=100, waiting_max=100)
    first = asyncio.create_task(lane.do(b'{"n":0}'))
    await asyncio.to_thread(started.wait)
    others = [asyncio.create_task(lane.do(b'{"n":%d}' % number)) for number in range(1, 41)]
    await asyncio.sleep(0)
    answered = [task.done() for task in (first, *others)]
    may_end.set()
    await asyncio.gather(first, *others)
    await asyncio.to_thread(lane.close)
    writer.close()

    assert not any(answered)
    assert len(syncs) == 3  # the header, the first, all that came meanwhile
    assert len(read(tmp_path)) == 41
