"""A journal can be shown, verified and replayed: twice, in any order, from where it stopped, and never with other SQL."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import utc_now
from core.errors import JournalDamaged, StoreUnavailable
from core.journal import Journal, JournalFile, closed_files
from service.facts import AnyFact, EncryptedNumber, Fact
from service.failover.journaling import STATEMENTS, RecordUnreadable, decode, encode
from service.failover.replay import REJECTED_SUFFIX, Rejected, replay, show, verify
from service.failover.stateless import CHECKS_FROM
from service.stores import schema
from service.stores.faults import FactRefused
from service.stores.memory import MemoryStore
from tests.service.stores import facts
from tests.service.stores.facts import NOW


def journal_of(folder: Path, payloads: list[bytes]) -> Path:
    journal = Journal(folder, file_bytes_max=1 << 20, total_bytes_max=1 << 30)
    journal.append(payloads)
    [newest] = set(folder.glob("*.journal")) - {file.path for file in closed_files(folder)}
    journal.close()
    return newest


def records_of(written: list[AnyFact]) -> list[bytes]:
    return [encode(fact, NOW) for fact in written]


def some_facts() -> list[AnyFact]:
    request = facts.request()
    number = EncryptedNumber(request_id=request.id, at=NOW, key_id="k", ciphertext=bytes(range(256)))
    return [request, facts.attempt(request), facts.outcome(request), facts.check(request, 1), number]


def test_every_kind_of_fact_has_its_statement():
    assert set(STATEMENTS.values()) == set(schema.TABLES) == set(Fact.__subclasses__())


@pytest.mark.parametrize("place", range(5))
def test_a_fact_comes_back_from_its_record_as_it_was(place: int):
    fact = some_facts()[place]

    assert decode(encode(fact, NOW)) == fact


def test_a_record_shows_a_person_the_sql_and_its_parameters(tmp_path: Path):
    request = facts.request()
    journal_of(tmp_path, records_of([facts.attempt(request)]))
    [shown] = show(tmp_path)

    assert (
        "INSERT INTO attempts (request_id, attempt, at, provider, cause, phone_hash, category) VALUES (:request_id"
        in shown.text
    )
    assert str(request.id) in shown.text
    assert not shown.applied


async def test_what_was_replayed_is_in_the_store_and_the_file_is_gone(tmp_path: Path):
    store, written = MemoryStore(), some_facts()
    journal_of(tmp_path, records_of(written))
    heard: list[int] = []
    done = await replay(tmp_path, store, lambda _name, number: heard.append(number))

    assert sorted(map(str, store.facts())) == sorted(map(str, written))
    assert (done.files, done.records, done.rejected, done.damaged) == (1, 5, 0, ())
    assert heard == [5]
    assert os.listdir(tmp_path) == []


async def test_a_check_that_gets_another_number_is_told_of(tmp_path: Path):
    store, request = MemoryStore(), facts.request()
    await store.write([request, facts.check(request, 1)])
    other = facts.check(request, 1, at=NOW)
    journal_of(tmp_path, records_of([other]))
    told: list[object] = []
    await replay(tmp_path, store, on_renumbered=told.append)

    assert told == [request.id]
    assert await store.checks(request.id) == [facts.check(request, 1), msgspec.structs.replace(other, check=2)]


async def test_a_disk_that_does_not_answer_keeps_nobody_else_waiting(tmp_path: Path):
    """Its mark is a pipe: who reads it waits until somebody writes."""
    store, written = MemoryStore(), some_facts()
    mark = journal_of(tmp_path, records_of(written)).with_suffix(".journal.done")
    os.mkfifo(mark)
    helping = threading.Timer(5.0, mark.write_text, ["0"])  # or a loop that is held up would never say so
    helping.start()
    replaying = asyncio.create_task(replay(tmp_path, store))
    await asyncio.sleep(0.05)
    was_free = helping.is_alive()
    helping.cancel()
    if was_free:
        await asyncio.to_thread(mark.write_text, "0")
    await replaying

    assert was_free
    assert len(store.facts()) == len(written)


async def test_a_replay_that_was_cut_short_goes_on_from_its_mark(tmp_path: Path):
    class Failing(MemoryStore):
        async def write(self, rows):
            if self.facts():
                self.available = False
            return await super().write(rows)

    store = Failing()
    written = [facts.request() for _ in range(1200)]
    path = journal_of(tmp_path, records_of(written))
    with pytest.raises(StoreUnavailable):
        await replay(tmp_path, store)

    assert JournalFile(path).mark == 500
    assert sum(row.applied for row in show(tmp_path)) == 500

    fresh = MemoryStore()
    done = await replay(tmp_path, fresh)

    assert done.records == 700
    assert len(fresh.facts()) == 700


async def test_other_sql_is_never_run_however_the_journal_was_edited(tmp_path: Path):
    record = msgspec.json.decode(encode(facts.request(), NOW))
    edited = record | {"sql": "DROP TABLE requests"}
    unknown = record | {"statement": "drop_table"}
    wrong = record | {"parameters": record["parameters"] | {"id": "no id"}}
    path = journal_of(tmp_path, [msgspec.json.encode(row) for row in (edited, unknown, wrong, [1])])
    report = verify(tmp_path)
    store = MemoryStore()
    done = await replay(tmp_path, store)
    aside = path.with_suffix(REJECTED_SUFFIX).read_bytes().splitlines()
    rejected = [msgspec.json.decode(line, type=Rejected) for line in aside]

    assert [fact.id for fact in store.facts()] == [facts_id(record)]
    assert (done.records, done.rejected) == (4, 3)
    assert [row.number for row in rejected] == [2, 3, 4]
    assert "no statement of this program" in rejected[0].reason
    assert not report.is_sound
    assert report.files[0].problem.startswith("record 2:")


def facts_id(record):
    return msgspec.convert(record["parameters"]["id"], type(facts.request().id))


async def test_what_the_store_refuses_is_set_aside_and_its_neighbours_are_written(tmp_path: Path):
    class Picky(MemoryStore):
        async def write(self, rows):
            if any(getattr(row, "carrier", "") == "too long" for row in rows):
                raise FactRefused("a value is too long")
            return await super().write(rows)

    good, bad = [facts.request() for _ in range(4)], facts.request(carrier="too long")
    path = journal_of(tmp_path, records_of([*good[:2], bad, *good[2:]]))
    store = Picky()
    done = await replay(tmp_path, store)

    assert len(store.facts()) == 4
    assert done.rejected == 1
    assert b"a value is too long" in path.with_suffix(REJECTED_SUFFIX).read_bytes()


async def test_a_damaged_file_is_left_where_it_is_and_the_others_are_replayed(tmp_path: Path):
    damaged = journal_of(tmp_path, records_of([facts.request(), facts.request(), facts.request()]))
    damaged.write_bytes(damaged.read_bytes().replace(b"login", b"Login", 1))
    journal_of(tmp_path, records_of([facts.request()]))
    store = MemoryStore()
    done = await replay(tmp_path, store)

    assert len(store.facts()) == 1
    assert len(done.damaged) == 1
    assert damaged.exists()
    assert not verify(tmp_path).is_sound
    with pytest.raises(JournalDamaged):
        list(show(tmp_path))


async def test_a_file_that_nobody_can_open_is_told_of_and_keeps_none_after_it_waiting(tmp_path: Path):
    blocked = journal_of(tmp_path, records_of([facts.request(), facts.request()]))
    kept = blocked.rename(tmp_path / "kept")
    blocked.mkdir()
    journal_of(tmp_path, records_of([facts.request()]))
    store = MemoryStore()
    done = await replay(tmp_path, store, skip_damaged=True)
    problems = {file.file: file.problem for file in verify(tmp_path).files}
    with pytest.raises(JournalDamaged, match="cannot be opened"):
        list(show(tmp_path))
    blocked.rmdir()
    kept.rename(blocked)
    later = await replay(tmp_path, store)

    assert (done.files, done.records, len(done.damaged)) == (1, 1, 1)
    assert blocked.name in done.damaged[0]
    assert list(problems) == [blocked.name]
    assert "cannot be opened" in problems[blocked.name]
    assert (later.records, later.damaged, len(store.facts())) == (2, (), 3)


async def test_a_disk_with_no_room_for_a_mark_is_drained_and_so_makes_room(tmp_path: Path):
    store, written = MemoryStore(), some_facts()
    path = journal_of(tmp_path, records_of(written))
    path.with_suffix(".journal.new").mkdir()
    done = await replay(tmp_path, store)

    assert (done.records, done.damaged) == (len(written), ())
    assert len(store.facts()) == len(written)
    assert not path.exists()


async def test_the_file_that_is_being_written_is_left_alone(tmp_path: Path):
    journal = Journal(tmp_path, file_bytes_max=1 << 20, total_bytes_max=1 << 30, clock=utc_now)
    journal.append(records_of([facts.request()]))
    done = await replay(tmp_path, MemoryStore())
    journal.close()

    assert done.records == 0
    assert len(list(closed_files(tmp_path))) == 1


async def test_two_checks_that_got_one_number_on_two_stores_are_both_kept_once(tmp_path: Path):
    request = facts.request()
    store = MemoryStore()
    mine, theirs = facts.check(request, 2), facts.check(request, 2, at=NOW)
    await store.write([request, facts.check(request, 1), mine])
    for _ in range(2):
        journal_of(tmp_path, records_of([theirs]))
        await replay(tmp_path, store)
    state = await store.request(request.id)

    assert state is not None
    assert state.checks == (facts.check(request, 1), mine, msgspec.structs.replace(theirs, check=3))


async def test_a_check_whose_answer_was_lost_gets_the_number_that_it_was_told_of_under_without_a_store(tmp_path: Path):
    store, request = MemoryStore(), facts.request()
    late = facts.check(request, 1, result="approved")  # committed after its caller had given up
    await store.write([request, late, facts.approval(request, 1, at=late.at)])
    told = msgspec.structs.replace(late, check=CHECKS_FROM + 7)
    journal_of(tmp_path, records_of([told, facts.approval(request, told.check, at=late.at)]))
    await replay(tmp_path, store)
    state = await store.request(request.id)

    assert state is not None
    assert state.checks == (told,)
    assert state.approval is not None
    assert state.approval.check == told.check


async def test_what_is_known_of_the_checks_of_a_batch_is_asked_at_once(tmp_path: Path):
    class Slow(MemoryStore):
        asking = most = 0

        async def checks(self, request_id):
            self.asking += 1
            self.most = max(self.most, self.asking)
            await asyncio.sleep(0)
            self.asking -= 1
            return await super().checks(request_id)

    store = Slow()
    checks = [facts.check(facts.request(), CHECKS_FROM) for _ in range(20)]
    journal_of(tmp_path, records_of(checks))
    await replay(tmp_path, store)

    assert store.most == 20
    assert sorted(map(str, store.facts())) == sorted(map(str, checks))


async def test_two_checks_with_one_number_are_both_kept_though_their_request_comes_later(tmp_path: Path):
    store, request = MemoryStore(), facts.request()
    one, other = facts.check(request, 1), facts.check(request, 1, result="expired")
    for place, row in enumerate((one, other, other, one, request)):
        journal_of(tmp_path / str(place), records_of([row]))
        await replay(tmp_path / str(place), store)

    assert [(row.check, row.result) for row in await store.checks(request.id)] == [(1, "wrong"), (2, "expired")]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
async def test_journals_in_any_order_and_again_leave_the_same_facts(tmp_path_factory, data):
    written = [fact for _ in range(3) for fact in some_facts()]
    expected = sorted(map(str, written))
    store = MemoryStore()
    for _ in range(2):
        folder = tmp_path_factory.mktemp("journals")
        shuffled = data.draw(st.permutations(written))
        cut = data.draw(st.integers(1, len(shuffled) - 1))
        journal_of(folder, records_of(shuffled[:cut]))
        journal_of(folder, records_of(shuffled[cut:]))
        await replay(folder, store)

    assert sorted(map(str, store.facts())) == expected


def test_the_reason_for_an_unreadable_record_repeats_no_long_number():
    digits = "4" * 11
    with pytest.raises(RecordUnreadable) as caught:
        decode(msgspec.json.encode({"at": NOW, "statement": digits, "sql": "", "parameters": {}}))

    assert digits not in str(caught.value)
