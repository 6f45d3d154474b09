"""The whole stack, every part the real one: what people were told is in the store, in ClickHouse, once."""

import pytest

from sandbox.smoke import Counts, measure
from sandbox.subscribers import Tally


@pytest.mark.parametrize("store", ["sqlite", "mariadb"])
def test_nothing_is_lost_and_nothing_doubled(tmp_path, request, store):
    url = "" if store == "sqlite" else request.getfixturevalue("mariadb_database")
    counts = measure(tmp_path / "stack", 40, store_url=url)

    assert (counts.lost, counts.duplicated) == (0, 0), counts
    assert counts.tally.sent >= 35
    assert counts.tally.approved >= 20
    assert counts.store["encrypted_numbers"] == counts.store["requests"]


def test_no_number_and_no_text_lies_in_a_log_a_journal_a_stream_or_a_table(tmp_path):
    folder = tmp_path / "stack"
    seen: list[tuple[str, str]] = []
    measure(folder, 25, overheard=lambda number, text: seen.append((number, text)))
    secrets = {number.lstrip("+").encode() for number, _ in seen} | {text.encode() for _, text in seen}
    leaks = [
        (path.relative_to(folder), secret)
        for path in folder.rglob("*")
        if path.is_file()
        for secret in secrets
        if secret in path.read_bytes()
    ]

    assert len(seen) >= 10
    assert leaks == []


def test_what_is_missing_is_counted_as_lost_and_what_is_twice_as_doubled():
    store = dict.fromkeys(
        ("requests", "attempts", "outcomes", "receipts", "checks", "approvals", "encrypted_numbers"), 3
    )
    events = {"attempts": 2, "send": 3, "receipt": 4, "verify": 3, "accepted": 3}
    counts = Counts(Tally(sent=3, approved=3), store, events, {"a": 1, "b": 2, "c": 1})

    assert (counts.lost, counts.duplicated) == (1, 2)
