"""`heliograph journal`, as an operator uses it: what it says, what it applies, what it keeps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.events import Verify, decode, encode_lines
from core.journal import Journal, JournalFile, closed_files
from sandbox.servers import Server
from service.cli import journal
from service.facts import AnyFact
from service.failover import STORE_FOLDER
from service.failover.journaling import encode
from service.publisher import EVENTS_FOLDER
from tests.service.stores import facts
from tests.service.stores.facts import NOW, new_id


class Operator:
    """Types commands, in a folder of his own."""

    def __init__(self, folder: Path, queue_url: str = "") -> None:
        self.store = folder / "store.sqlite3"
        self.folder = folder / "journal"
        self._environ = {
            "HELIOGRAPH_STORE_URL": f"sqlite:///{self.store}",
            "HELIOGRAPH_JOURNAL_FOLDER": str(self.folder),
        } | ({"HELIOGRAPH_QUEUE_URL": queue_url} if queue_url else {})

    def __call__(self, *arguments: str) -> Result:
        result = CliRunner().invoke(journal, arguments, env=self._environ)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def write(self, payloads: list[bytes], which: str = STORE_FOLDER) -> Path:
        folder = self.folder / which
        before = set(folder.glob("*.journal"))
        writer = Journal(folder, file_bytes_max=1 << 20, total_bytes_max=1 << 30)
        writer.append(payloads)
        writer.close()
        [fresh] = set(folder.glob("*.journal")) - before
        return fresh

    def requests(self) -> int:
        with closing(sqlite3.connect(self.store)) as connection:
            [[count]] = connection.execute("SELECT count(*) FROM requests")
        return int(count)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path)


def records(count: int) -> list[bytes]:
    return [encode(fact, NOW) for fact in some_requests(count)]


def some_requests(count: int) -> list[AnyFact]:
    return [facts.request() for _ in range(count)]


def damage(path: Path, record: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[record] = lines[record].replace(b"login", b"Login")
    path.write_bytes(b"".join(lines))


def test_with_nothing_to_do_it_says_so(operator: Operator):
    assert "Nothing waits." in operator("verify").output
    assert "0 records of 0 files replayed" in operator("replay").output
    assert operator("show").output == "Nothing waits.\n"


def test_what_waits_is_shown_verified_replayed_and_gone(operator: Operator):
    path = operator.write(records(3))
    shown, verified = operator("show").output, operator("verify").output
    replayed = operator("replay")

    assert shown.count(f"{path.name} ") == 3
    assert shown.count("INSERT INTO requests") == 3
    assert f"{path.name}: 3 records, 0 applied: sound" in verified
    assert "3 records of 1 files replayed, 0 set aside" in replayed.output
    assert operator.requests() == 3
    assert "Nothing waits." in operator("verify").output


def test_replaying_the_same_file_again_changes_nothing(operator: Operator):
    path = operator.write(records(5))
    kept = path.read_bytes()
    operator("replay")
    path.write_bytes(kept)
    again = operator("replay")

    assert again.exit_code == 0
    assert operator.requests() == 5


def test_a_damaged_file_is_told_left_alone_and_on_request_applied_as_far_as_it_is_intact(operator: Operator):
    path = operator.write(records(4))
    damage(path, 2)
    verified, replayed = operator("verify"), operator("replay")
    left = path.exists()
    skipped = operator("replay", "--skip-damaged")
    after = operator("verify")

    assert (verified.exit_code, replayed.exit_code, left) == (1, 1, True)
    assert "record 2 is damaged and intact ones follow" in verified.output
    assert "--skip-damaged" in verified.output
    assert "not applied: " in replayed.output
    assert skipped.exit_code == 1
    assert "3 records of 1 files replayed" in skipped.output
    assert operator.requests() == 3
    assert "Nothing waits." in after.output
    assert f"Kept for you to look at: {path.with_suffix('.damaged')}" in after.output


def test_what_can_never_be_applied_is_kept_with_its_reason(operator: Operator):
    edited = records(1)[0].replace(b"insert_request", b"drop_requests")
    operator.write([*records(2), edited])
    replayed = operator("replay")

    assert replayed.exit_code == 1
    assert "not applied: 1 records can never be applied" in replayed.output
    assert ".rejected" in replayed.output
    assert operator.requests() == 2


def test_of_checks_that_got_another_number_the_events_are_told_anew(operator: Operator):
    request = facts.request()
    both = [facts.check(request, 1), facts.check(request, 1, at=NOW + timedelta(seconds=40))]
    for told in ([request, facts.attempt(request), both[0]], [both[1]]):
        operator.write([encode(fact, NOW) for fact in told])
    replayed = operator("replay")
    [file] = closed_files(operator.folder / EVENTS_FOLDER)
    events = [decode(record.payload) for record in file.records()]

    assert "2 events wait" in replayed.output
    assert [(event.check, event.at) for event in events if isinstance(event, Verify)] == [
        (1, both[0].at),
        (2, both[1].at),
    ]


def test_a_file_that_somebody_else_replays_is_passed_over_and_told(operator: Operator):
    path = operator.write(records(2))
    with JournalFile(path).held():
        replayed = operator("replay")

    assert "1 file is in use by another process" in replayed.output
    assert path.exists()


def test_events_are_published_and_gone(tmp_path: Path, nats_server: Server):
    operator = Operator(tmp_path, nats_server.url)
    events = [Verify(at=NOW, request_id=new_id(), attempt=1, check=n, result="wrong") for n in range(1, 4)]
    operator.write(encode_lines(events).splitlines(), EVENTS_FOLDER)
    shown = operator("show", "--which", "events").output
    published = operator("replay", "--which", "events")

    assert shown.count('"kind":"verify"') == 3
    assert "3 records published" in published.output
    assert list(closed_files(operator.folder / EVENTS_FOLDER)) == []
