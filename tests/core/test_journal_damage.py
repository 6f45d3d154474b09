"""Damage to a journal, enumerated byte by byte: a torn tail is dropped, damage in the middle refused aloud, never a wrong record read."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from core.errors import JournalDamaged, JournalNewer
from core.journal import Journal, JournalFile, closed_files

BLOCK_BYTES = 512


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return written(tmp_path_factory.mktemp("whole"), word="whole").read_bytes()


def written(folder: Path, *, word: str) -> Path:
    """A journal of a dozen records in batches of three, over three blocks of a disk."""
    journal = Journal(folder, file_bytes_max=1 << 20, total_bytes_max=1 << 30)
    for first in range(1, 13, 3):
        journal.append([b'{"n":%d,"%s":"%s"}' % (n, word.encode(), b"x" * 10 * n) for n in range(first, first + 3)])
    journal.close()
    [file] = closed_files(folder)
    return file.path


def records_of(content: bytes) -> list[bytes]:
    """The payloads as they stand in the lines."""
    return [line.split(b" ", 2)[2] for line in content.splitlines()[1:]]


def ends_of(content: bytes) -> list[int]:
    """Where the header and each record end."""
    return [place + 1 for place, byte in enumerate(content) if byte == ord("\n")]


def read(path: Path, content: bytes, *, skip_damaged: bool = False) -> tuple[list[bytes], bool]:
    """The payloads that were read, and whether damage was told."""
    path.write_bytes(content)
    file, found = JournalFile(path), []
    try:
        found.extend(record.payload for record in file.records(skip_damaged=skip_damaged))
    except JournalDamaged:
        return found, True
    return found, bool(file.damage)


def test_cut_at_any_byte_only_the_record_that_was_cut_is_dropped(tmp_path: Path, whole: bytes):
    records, ends = records_of(whole), ends_of(whole)
    for length in range(len(whole) + 1):
        kept = sum(end <= length for end in ends[1:])

        assert read(tmp_path / "cut.journal", whole[:length]) == (records[:kept], False), length


def test_a_tail_that_is_zeros_from_any_byte_on_is_dropped(tmp_path: Path, whole: bytes):
    records, ends = records_of(whole), ends_of(whole)
    for length in range(ends[0], len(whole) + 1):
        content = whole[:length] + bytes(len(whole) - length + BLOCK_BYTES)
        kept = sum(end <= length for end in ends[1:])

        assert read(tmp_path / "zeros.journal", content) == (records[:kept], False), length


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_any_byte_flipped_is_refused_aloud_or_was_the_last_record_and_nothing_wrong_is_read(
    tmp_path: Path, whole: bytes, flip: int
):
    records, ends = records_of(whole), ends_of(whole)
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= flip
        hit = sum(end <= place for end in ends)  # 0: the header
        found, told = read(tmp_path / "flipped.journal", bytes(flipped))

        assert found == records[: max(hit - 1, 0)], place
        assert told == (hit < len(records)), place


@pytest.mark.parametrize("flip", [0x01, 0xFF])
def test_what_is_intact_around_a_flipped_byte_can_be_read_on_request(
    tmp_path_factory: pytest.TempPathFactory, flip: int
):
    path = written(
        tmp_path_factory.mktemp("flipped"), word="whole"
    )  # its name carries the epoch, should the header not
    content = path.read_bytes()
    records, ends = records_of(content), ends_of(content)
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= flip
        hit = sum(end <= place for end in ends)
        intact = [record for number, record in enumerate(records, start=1) if number != hit]

        assert read(path, bytes(flipped), skip_damaged=True) == (intact, hit < len(records)), place


@pytest.mark.parametrize("blocks", [1, 2])
def test_the_last_blocks_written_twice_are_read_once(tmp_path: Path, whole: bytes, blocks: int):
    last = len(whole) // BLOCK_BYTES * BLOCK_BYTES
    doubled = whole + whole[last - (blocks - 1) * BLOCK_BYTES :]
    shifted = whole + whole[-blocks * BLOCK_BYTES :]

    assert last >= 2 * BLOCK_BYTES
    for content in (doubled, shifted):
        assert read(tmp_path / "doubled.journal", content) == (records_of(whole), False)


def test_a_block_written_over_the_one_that_follows_is_a_tail_or_told(tmp_path: Path, whole: bytes):
    records = records_of(whole)
    for begin in range(BLOCK_BYTES, len(whole), BLOCK_BYTES):
        stale = whole[begin - BLOCK_BYTES : begin]
        content = whole[:begin] + stale + whole[begin + BLOCK_BYTES :]
        found, told = read(tmp_path / "stale.journal", content)

        assert found == records[: len(found)]
        assert told or begin + BLOCK_BYTES >= len(whole)


def test_old_data_of_another_file_behind_any_record_is_never_read(tmp_path: Path, whole: bytes):
    other = written(tmp_path / "other", word="other").read_bytes()
    records, ends = records_of(whole), ends_of(whole)
    for kept, end in enumerate(ends):
        for begin in (0, *ends_of(other)[:-1], end % len(other)):
            content = whole[:end] + other[begin:]

            assert read(tmp_path / "recycled.journal", content) == (records[:kept], False), (kept, begin)


def test_a_record_that_is_missing_or_out_of_its_place_is_told(tmp_path: Path, whole: bytes):
    lines = whole.splitlines(keepends=True)
    for place in range(1, len(lines) - 1):
        missing = b"".join(lines[:place] + lines[place + 1 :])
        swapped = b"".join([*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]])

        for content in (missing, swapped):
            found, told = read(tmp_path / "edited.journal", content)
            assert (found, told) == (records_of(whole)[: place - 1], True)


def test_an_edited_record_does_not_pass_even_with_the_checksum_of_another_file(tmp_path: Path, whole: bytes):
    other = written(tmp_path / "other", word="whole").read_bytes().splitlines(keepends=True)
    lines = whole.splitlines(keepends=True)
    found, told = read(tmp_path / "edited.journal", b"".join([*lines[:5], other[5], *lines[6:]]))

    assert (found, told) == (records_of(whole)[:4], True)


def test_a_file_of_a_later_format_is_left_to_the_program_that_wrote_it(tmp_path: Path):
    path = written(tmp_path, word="later")
    head, _, rest = path.read_bytes().partition(b"\n")
    later = head.replace(b"heliograph-journal 1", b"heliograph-journal 2")[:-9]
    path.write_bytes(b"%s %08x\n%s" % (later, zlib.crc32(later), rest))
    for skip_damaged in (False, True):
        with pytest.raises(JournalNewer, match="version 2"):
            list(JournalFile(path).records(skip_damaged=skip_damaged))


def test_while_one_process_drains_a_file_no_other_one_sees_it(tmp_path: Path):
    path = written(tmp_path, word="held")
    with JournalFile(path).held() as mine, JournalFile(path).held() as theirs:
        listed = list(closed_files(tmp_path))

    assert (mine, theirs, listed) == (True, False, [])
    assert [file.path for file in closed_files(tmp_path)] == [path]


def test_a_file_that_was_drained_meanwhile_is_nobodys_to_drain(tmp_path: Path):
    file = JournalFile(written(tmp_path, word="gone"))
    file.remove()
    with file.held() as is_mine:
        assert not is_mine
