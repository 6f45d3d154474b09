"""The journal keeps what it acknowledged, whatever happens to the file's tail."""

import errno
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import JournalDamaged, JournalWriteFailed
from core.hooks import Hooks
from core.journal import Journal, backlog_bytes, closed_files

PAYLOADS = [b'{"name":"first"}', b'{"name":"second","n":2}', b'{"name":"third"}']


def journal(folder: Path, **options) -> Journal:
    return Journal(folder, **({"file_bytes_max": 1_000_000, "total_bytes_max": 10_000_000} | options))


def written(folder: Path, payloads=PAYLOADS) -> Path:
    writer = journal(folder)
    for payload in payloads:
        writer.append([payload])
    writer.close()
    (file,) = closed_files(folder)
    return file.path


def read(folder: Path) -> list[bytes]:
    return [record.payload for file in closed_files(folder) for record in file.records()]


def test_what_was_appended_is_read_back_in_order(tmp_path):
    written(tmp_path)

    assert read(tmp_path) == PAYLOADS


def test_a_batch_costs_one_sync(tmp_path):
    syncs = []
    writer = journal(tmp_path, hooks=Hooks(sync=syncs.append))
    writer.append([b"{}"])
    syncs.clear()
    numbers = writer.append([b"{}"] * 100)
    writer.close()

    assert (len(syncs), numbers[0], numbers[-1]) == (1, 2, 101)


def test_the_open_file_is_nobody_elses(tmp_path):
    writer = journal(tmp_path)
    writer.append(PAYLOADS)

    assert list(closed_files(tmp_path)) == []

    writer.rotate()

    assert read(tmp_path) == PAYLOADS


def test_a_full_file_is_followed_by_the_next(tmp_path):
    writer = journal(tmp_path, file_bytes_max=100)
    for number in range(10):
        writer.append([b'{"n":%d}' % number])
    writer.close()

    assert len(list(closed_files(tmp_path))) > 1
    assert read(tmp_path) == [b'{"n":%d}' % number for number in range(10)]


def test_a_mark_lets_the_next_reader_go_on_where_the_last_one_stopped(tmp_path):
    written(tmp_path)
    (file,) = closed_files(tmp_path)
    file.set_mark(2)

    assert [record.payload for record in file.records(after=file.mark)] == PAYLOADS[2:]

    file.remove()

    assert list(tmp_path.iterdir()) == []


def test_a_tail_cut_at_any_byte_loses_only_the_record_that_was_cut(tmp_path):
    path = written(tmp_path)
    whole = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(ends[0], len(whole) + 1):
        path.write_bytes(whole[:length])

        assert read(tmp_path) == PAYLOADS[: sum(end <= length for end in ends[1:])]


def test_a_header_cut_at_any_byte_is_an_empty_journal(tmp_path):
    path = written(tmp_path, payloads=[b"{}"])
    header = path.read_bytes().splitlines(keepends=True)[0]
    for length in range(len(header)):
        path.write_bytes(header[:length])

        assert read(tmp_path) == []


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_is_dropped_at_the_tail_and_refused_elsewhere(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("journal")
    path = written(folder)
    whole = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    last_begins = len(whole) - len(b"3 xxxxxxxx ") - len(PAYLOADS[-1]) - 1
    try:
        found = read(folder)
    except JournalDamaged:
        assert place < last_begins
    else:
        assert found == PAYLOADS[:2]


def test_zeros_behind_the_tail_are_a_torn_tail(tmp_path):
    path = written(tmp_path)
    with path.open("ab") as file:
        file.write(b"\0" * 4096)

    assert read(tmp_path) == PAYLOADS


def test_records_of_another_file_behind_the_tail_are_not_records(tmp_path):
    old = written(tmp_path / "old", payloads=[b'{"name":"old"}'] * 5).read_bytes().splitlines(keepends=True)
    path = written(tmp_path / "new")
    with path.open("ab") as file:
        file.writelines(old[4:])

    assert read(tmp_path / "new") == PAYLOADS


def test_a_doubled_last_record_is_read_once(tmp_path):
    path = written(tmp_path)
    last = path.read_bytes().splitlines(keepends=True)[-1]
    with path.open("ab") as file:
        file.write(last)

    assert read(tmp_path) == PAYLOADS


def test_after_a_failed_sync_nothing_is_acknowledged_and_the_file_is_left_alone(tmp_path):
    synced: list[int] = []
    broken = False

    def sync(descriptor: int) -> None:
        if broken:
            raise OSError(errno.EIO, "Input/output error")
        synced.append(descriptor)

    writer = journal(tmp_path, hooks=Hooks(sync=sync))
    writer.append([b'{"n":1}'])
    first = next(tmp_path.glob("*.journal"))
    broken = True
    with pytest.raises(JournalWriteFailed):
        writer.append([b'{"n":2}'])
    size = first.stat().st_size
    broken = False
    writer.append([b'{"n":3}'])
    writer.close()

    assert first.stat().st_size == size
    assert len(list(closed_files(tmp_path))) == 2
    assert {b'{"n":1}', b'{"n":3}'} <= set(read(tmp_path))


def test_a_journal_at_its_own_limit_refuses_before_the_disk_is_full(tmp_path):
    writer = journal(tmp_path, file_bytes_max=500, total_bytes_max=2_000)

    def fill():
        for _ in range(100):
            writer.append([b'{"filler":"%s"}' % (b"x" * 80)])

    with pytest.raises(JournalWriteFailed, match="limit of 2000 bytes"):
        fill()
    writer.close()

    assert backlog_bytes(tmp_path) <= 2_000


def test_a_record_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="one line"):
        journal(tmp_path).append([b"{}\n{}"])
