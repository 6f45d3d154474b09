"""Files of the journal of events that the disk does not give back, or lets nobody open: those after them are published."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import structlog
from prometheus_client import CollectorRegistry

from core.clock import ManualClock
from core.errors import JournalDamaged, QueueUnavailable
from core.events import Event
from core.hooks import Hooks
from core.journal import Journal, JournalFile, closed_files
from core.queue.memory import MemoryQueue
from core.settings.servers import Journal as JournalSettings
from service.publisher import Publisher
from service.telemetry import Telemetry
from tests.service.test_publisher import NOW, an_event, events_of

BLOCK_BYTES = 4096
FIRST = "20250101T000000.000000-0123456789abcdef.journal"
"""A name before that of any file of now."""


class BadBlocks:
    """A disk that does not give some blocks of one file back."""

    def __init__(self, path: Path, *blocks: int) -> None:
        self._file, self._blocks = path.stat().st_ino, set(blocks)

    def read(self, descriptor: int, most: int, place: int) -> bytes:
        """As much as there is before the first bad block."""
        if os.fstat(descriptor).st_ino != self._file:
            return os.pread(descriptor, most, place)
        good = 0
        while good < most and (place + good) // BLOCK_BYTES not in self._blocks:
            good += BLOCK_BYTES - (place + good) % BLOCK_BYTES
        if not good:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.pread(descriptor, min(good, most), place)


class Office:
    """One publisher after the other on a folder, and what each of them counted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.queue, self.clock = folder, MemoryQueue(), ManualClock(NOW)
        self._registry = CollectorRegistry()

    def publisher(self, hooks: Hooks | None = None) -> Publisher:
        self._registry = CollectorRegistry()
        return Publisher(
            self.queue,
            self.folder,
            settings=JournalSettings(folder=self.folder),
            clock=self.clock,
            telemetry=Telemetry(self._registry),
            hooks=hooks or Hooks(),
        )

    async def left_behind(self, count: int) -> list[Event]:
        """By a process that died, in a file of its own."""
        events: list[Event] = [an_event(1) for _ in range(count)]
        dead = self.publisher()
        for event in events:
            await dead.tell([event])
        dead._journal.close()
        self.clock.advance(seconds=1)
        return events

    def counted(self, name: str) -> float | None:
        return self._registry.get_sample_value(f"heliograph_events_files_{name}")


def touches(block: int, lines: list[bytes], line: bytes) -> bool:
    """Whether something of a line lies in the block."""
    begin = sum(map(len, lines[: lines.index(line)]))
    return begin < (block + 1) * BLOCK_BYTES and begin + len(line) > block * BLOCK_BYTES


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@pytest.mark.parametrize("block", [0, 1, 3], ids=["first", "middle", "last"])
async def test_all_that_the_disk_gives_back_of_a_file_is_published_and_so_are_the_files_after_it(
    office: Office, block: int
):
    worn = await office.left_behind(50)
    [path] = office.folder.glob("*.journal")
    lines = path.read_bytes().splitlines(keepends=True)
    assert path.stat().st_size // BLOCK_BYTES == 3
    after = await office.left_behind(1)
    publisher = office.publisher(Hooks(read=BadBlocks(path, block).read))
    with structlog.testing.capture_logs() as logs:
        await publisher.publish_waiting()
    found = await events_of(office.queue)
    await publisher.stop()
    whole = [event for event, line in zip(worn, lines[1:], strict=True) if not touches(block, lines, line)]

    assert found == [*whole, *after]
    assert 0 < len(whole) < len(worn)
    assert [line["why"] for line in logs] == [
        f"{path.name}: the disk does not give back what is at byte {block * BLOCK_BYTES}: Input/output error"
    ]
    assert path.with_suffix(".damaged").read_bytes() == b"".join(lines)
    assert list(office.folder.glob("*.journal")) == []
    assert office.counted("set_aside_total") == 1


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def what_the_kernel_reads_from_nobody(path: Path) -> None:
    path.symlink_to("/proc/self/mem")


@pytest.mark.parametrize("obstacle", [a_folder, a_link_to_itself])
async def test_a_file_that_nobody_can_open_is_told_of_once_left_where_it_is_and_published_once_it_can(
    office: Office, obstacle
):
    worn = await office.left_behind(3)
    [path] = office.folder.glob("*.journal")
    kept = path.rename(office.folder / "kept")
    obstacle(path)
    after = await office.left_behind(1)
    publisher = office.publisher()
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await publisher._try_to_publish()
    found, left, is_up = await events_of(office.queue), office.counted("left"), publisher.is_up
    path.rmdir() if path.is_dir() else path.unlink()
    kept.rename(path)
    await publisher.publish_waiting()
    later, left_at_last = await events_of(office.queue), office.counted("left")
    await publisher.stop()

    assert (found, left, is_up) == (after, 1, True)
    assert [line["event"] for line in logs] == ["a journal of events cannot be published"]
    assert path.name in logs[0]["reason"]
    assert (later, left_at_last) == (worn, 0)


async def test_a_file_of_which_the_kernel_gives_nothing_is_set_aside(office: Office):
    what_the_kernel_reads_from_nobody(office.folder / FIRST)
    after = await office.left_behind(1)
    publisher = office.publisher()
    await publisher.publish_waiting()
    found = await events_of(office.queue)
    await publisher.stop()

    assert found == after
    assert [path.name for path in office.folder.glob("*.damaged")] == [FIRST.replace(".journal", ".damaged")]
    assert office.counted("set_aside_total") == 1


async def test_a_file_that_cannot_be_put_away_is_not_published_again(office: Office):
    await office.left_behind(50)
    [path] = office.folder.glob("*.journal")
    path.with_suffix(".damaged").mkdir()
    after = await office.left_behind(1)
    publisher = office.publisher(Hooks(read=BadBlocks(path, 1).read))
    first, second = await publisher.publish_waiting(), await publisher.publish_waiting()
    left = office.counted("left")
    path.with_suffix(".damaged").rmdir()
    await publisher.publish_waiting()
    await publisher.stop()

    assert len(after) < first < 50
    assert second == 0
    assert (left, office.counted("left"), office.counted("set_aside_total")) == (1, 0, 1)


async def test_a_network_that_fails_is_the_queues_fault_and_not_that_of_the_file(office: Office):
    class CutOff(MemoryQueue):
        async def publish(self, subject: str, body: bytes, *, message_id: str) -> None:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    await office.left_behind(1)
    office.queue = CutOff()
    publisher = office.publisher()
    with pytest.raises(QueueUnavailable):
        await publisher.publish_waiting()
    left = office.counted("left")
    await publisher.stop()

    assert left == 0
    assert len(list(office.folder.glob("*.journal"))) == 1


def test_whoever_does_not_skip_damage_is_told_of_a_bad_block_and_reads_no_further(tmp_path: Path):
    journal = Journal(tmp_path, file_bytes_max=1 << 20, total_bytes_max=1 << 30)
    journal.append([b'{"n":"%s"}' % (b"x" * 1000) for _ in range(10)])
    journal.close()
    [file] = closed_files(tmp_path)
    broken = JournalFile(file.path, read=BadBlocks(file.path, 1).read)
    found = []
    with pytest.raises(JournalDamaged, match="byte 4096: Input/output error"):
        found.extend(record.number for record in broken.records())

    assert found == [1, 2, 3]
