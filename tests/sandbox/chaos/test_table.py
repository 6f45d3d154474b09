"""The table: what a row says, how it says that something is wrong, and what the run comes to."""

from __future__ import annotations

from sandbox.chaos.table import INVARIANTS, Row, heading, line, summary

GOOD = Row("F1", "MySQL killed", calls=661, p99_ms=812.4, detection_seconds=0.94)
BAD = Row("F2", "MySQL hangs", calls=10, not_ok=1, p99_ms=5000.0, lost=1, problems={"I1": ["verify of x: lost"]})
SKIPPED = Row("F9", "MySQL's disk is full", skipped="a small disk can be mounted by root only")


def test_a_good_row_stands_below_the_names_of_its_columns():
    names, _, row = f"{heading()}\n{line(GOOD)}".splitlines()

    assert len(names) == len(row)
    assert row.split()[-len(INVARIANTS) :] == ["ok"] * len(INVARIANTS)
    assert [row.split()[i] for i in range(3, 10)] == ["661", "0", "812", "0.9", "0", "0", "0"]


def test_a_failed_row_says_which_invariant_and_where():
    first, second = line(BAD).splitlines()

    assert first.split()[-len(INVARIANTS)] == "FAIL"
    assert second.strip() == "I1: verify of x: lost"
    assert not BAD.is_ok


def test_what_was_not_judged_is_neither_ok_nor_failed():
    row = Row("F1", "in a soak", judged=frozenset({"I8"}))

    assert row.verdict("I8") == "ok"
    assert row.verdict("I1") == "-"


def test_a_row_that_was_skipped_says_why():
    assert "root only" in line(SKIPPED)
    assert SKIPPED.is_ok


def test_a_long_list_of_problems_is_cut_and_counted():
    row = Row("F1", "MySQL killed", problems={"I1": [f"call {number}" for number in range(40)]})

    assert "... and 35 more" in line(row)


def test_a_loss_fails_a_row_even_when_no_invariant_names_it():
    assert not Row("F1", "MySQL killed", lost=1).is_ok


def test_the_summary_counts_and_names_what_failed_and_what_it_means():
    told = summary([GOOD, BAD, SKIPPED])

    assert told.startswith("2 rows, 1 skipped, 671 calls: lost 1, doubled 0, approved twice 0.")
    assert "Not as it should be: F2" in told
    assert INVARIANTS["I1"] in told


def test_the_summary_of_a_good_run_says_that_all_holds():
    assert summary([GOOD]).endswith("All that was judged holds.")
