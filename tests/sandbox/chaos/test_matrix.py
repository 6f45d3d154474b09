"""The short matrix for real, and how rows are chosen and paired. Times are not judged here: `make chaos` does that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sandbox.chaos.cluster import Plan
from sandbox.chaos.faults import MATRIX, QUICK
from sandbox.chaos.matrix import Wishes, run_all
from sandbox.chaos.nemesis import chosen, pairs
from sandbox.chaos.table import Row, line
from tests.support.servers import require_server

TIMED = {"I8", "I9"}
"""On a machine that is busy with other tests a store may well seem to hang."""
PLAN = Plan(folder=Path("nowhere"))


@pytest.mark.chaos
async def test_nothing_is_lost_or_doubled_or_approved_twice_in_the_short_matrix(tmp_path: Path):
    require_server("mariadbd")
    require_server("redis-server")
    rows: list[Row] = []
    wishes = Wishes(rate=15.0, quick=True)
    await run_all(chosen(MATRIX, QUICK), wishes, tmp_path, say=lambda _text: None, finished=rows.append)
    wrong = [line(row) for row in rows if row.lost or row.doubled or row.approved_twice or row.problems.keys() - TIMED]

    assert "\n".join(wrong) == ""
    assert [row.number for row in rows] == list(QUICK)
    assert all(row.calls for row in rows)


def test_every_row_has_a_number_of_its_own():
    numbers = [fault.number for fault in MATRIX]

    assert sorted(set(numbers)) == sorted(numbers)


def test_a_number_without_its_letter_means_all_of_its_rows():
    assert [fault.number for fault in chosen(MATRIX, ["F5", "F6"])] == ["F5a", "F5b", "F6"]


def test_f1_does_not_mean_f10_or_f11():
    assert [fault.number for fault in chosen(MATRIX, ["F1"])] == ["F1"]


def test_a_number_that_no_row_has_is_refused_with_those_there_are():
    with pytest.raises(LookupError, match="F99; there are F1, "):
        chosen(MATRIX, ["F99"])


def test_the_same_seed_draws_the_same_pairs_and_no_two_faults_of_a_pair_break_the_same_thing():
    first, again = (pairs(MATRIX, PLAN, count=10, rng=np.random.default_rng(7)) for _ in range(2))
    victims = {fault.number: fault.victim for fault in MATRIX}

    assert [pair.number for pair in first] == [pair.number for pair in again]
    assert len({pair.number for pair in first}) == 10
    assert all(len({victims[part] for part in pair.number.split("+")}) == 2 for pair in first)
    assert all(pair.expects is None for pair in first)
