"""The checker finds each thing that may go wrong when it is planted in a run where all is well, and nothing there."""

from __future__ import annotations

import pandas as pd
import pytest

from sandbox.chaos.checker import changed_by_replay
from sandbox.chaos.ledger import Alone
from tests.sandbox.chaos.run import NOW, Run, rows
from tests.service.stores.facts import new_id


def broken(run: Run) -> list[str]:
    """The invariants that do not hold."""
    return sorted(name for name, problems in run.judged().problems.items() if problems)


def test_a_run_in_which_all_is_well_has_no_findings():
    found = Run().judged()

    assert found.are_none
    assert (found.lost, found.doubled, found.approved_twice) == (0, 0, 0)


@pytest.mark.parametrize(
    ("table", "lost"),
    [
        ("requests", 1),
        ("attempts", 2),  # the attempt, and the submission that nobody asked for then
        ("approvals", 1),
        ("receipts", 1),
        ("opt_outs", 1),
        ("encrypted_numbers", 1),
        ("checks", 1),
    ],
)
def test_what_was_acknowledged_and_is_in_no_table_is_lost(table: str, lost: int):
    run = Run()
    run.drop(table)

    assert "I1" in broken(run)
    assert run.judged().lost == lost


def test_a_call_without_an_answer_is_unknown_and_not_lost():
    run = Run()
    run.call("verify", status=0, request_id=None, key="another")
    run.call("verify", status=503, request_id=None, key="a third")

    assert broken(run) == []


def test_a_conversion_that_was_taken_and_is_nowhere_is_lost():
    run = Run()
    run.drop("approvals")
    run.ledger.calls = [run.call("convert")]

    assert run.judged().lost == 1


def test_a_check_that_was_counted_twice_is_doubled():
    run = Run()
    run.facts["checks"] = pd.concat([run.facts["checks"], rows("checks", run.check_row(3, "wrong"))])

    found = run.judged()

    assert found.doubled == 1
    assert any("at most 2 were made, 3 are in MySQL's checks" in problem for problem in found.problems["I1"])


def test_a_check_whose_answer_was_lost_may_have_been_counted():
    run = Run()
    run.call("check", status=0)
    run.facts["checks"] = pd.concat([run.facts["checks"], rows("checks", run.check_row(3, "wrong"))])
    run.events["verify_events"].append((run.request_id, 3, "wrong"))

    assert broken(run) == []


def test_two_answers_to_one_idempotency_key_are_one_too_many():
    run = Run()
    run.call("verify", attempt=2, key="k")

    assert run.judged().doubled == 1


def test_a_verification_that_was_approved_twice_is_found():
    run = Run()
    run.call("check", result="approved", is_right=True)

    assert "I2" in broken(run)
    assert run.judged().approved_twice == 1


def test_more_checks_than_allowed_are_found():
    run = Run()
    for _ in range(4):
        run.call("check", result="wrong")

    assert "I2" in broken(run)


@pytest.mark.parametrize("result", ["wrong", "expired", "too_many"])
def test_a_right_code_that_was_refused_is_found(result: str):
    run = Run()
    run.call("check", result=result, is_right=True)

    assert "I2" in broken(run)


def test_already_approved_needs_an_approval_before_it():
    run = Run()
    run.ledger.calls = [call for call in run.ledger.calls if call.result != "approved"]
    run.call("check", result="already_approved", is_right=True)

    assert "I2" in broken(run)


def test_a_message_that_was_submitted_twice_is_doubled():
    run = Run()
    run.ledger.submissions.update(list(run.ledger.submissions))

    assert broken(run) == ["I3"]
    assert run.judged().doubled == 1


def test_an_answered_send_that_reached_no_provider_is_lost():
    run = Run()
    run.ledger.submissions.clear()

    assert broken(run) == ["I3"]
    assert run.judged().lost == 1


def test_a_final_state_that_went_back_is_found():
    run = Run()
    run.facts["receipts"]["status"] = "failed"

    assert broken(run) == ["I4", "I5"]


@pytest.mark.parametrize("table", ["send_events", "receipt_events", "verify_events", "inbound_events"])
def test_a_fact_that_the_warehouse_does_not_have_is_lost(table: str):
    run = Run()
    del run.events[table][0]

    assert broken(run) == ["I5"]
    assert run.judged().lost == 1


@pytest.mark.parametrize("table", ["send_events", "verify_events", "inbound_events"])
def test_an_event_that_the_warehouse_has_twice_is_doubled(table: str):
    run = Run()
    run.events[table].append(run.events[table][0])

    assert broken(run) == ["I5"]
    assert run.judged().doubled == 1


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("send_events", "outcome", "failed"),
        ("finals", "status", "failed"),
        ("finals", "at", pd.Timestamp(NOW) + pd.Timedelta(milliseconds=1)),
        ("verify_events", "result", "wrong"),
    ],
)
def test_an_event_that_says_something_else_than_its_fact_is_found(table: str, column: str, value: object):
    run = Run()
    run.told[table][column] = value

    assert broken(run) == ["I5"]


def test_a_final_receipt_and_the_late_one_that_contradicts_it_are_one_fact_and_two_events():
    run = Run()
    run.events["receipt_events"] *= 2

    assert broken(run) == []


def test_a_replay_that_changes_a_table_is_found():
    problems = list(changed_by_replay({"requests": 3, "checks": 5}, {"requests": 3, "checks": 6}))

    assert problems == ["MySQL's checks: 5 rows, and 6 after the journals were replayed again"]


def test_no_problem_shows_a_number():
    run = Run()
    run.drop("opt_outs")

    assert "somebody who wrote STOP" not in str(run.judged().problems)


def without_a_store(run: Run, *instances: str) -> None:
    """These instances could ask neither store."""
    run.ledger.alone = [Alone(name, NOW.timestamp() + 5, NOW.timestamp() + 20) for name in instances]


@pytest.mark.parametrize(
    ("second", "at", "times"),
    [("b", 10, 0), ("a", 10, 1), ("b", 2, 1), ("b", 30, 1)],
)
def test_a_second_approval_is_right_only_by_an_instance_that_can_ask_no_store(second: str, at: int, times: int):
    run = Run()
    without_a_store(run, "a", "b")
    run.call("check", instance=second, at=NOW.timestamp() + at, result="approved", is_right=True)

    assert run.judged().approved_twice == times


def test_an_instance_without_a_store_approves_once_and_no_store_does_so_after_it():
    run = Run()
    without_a_store(run, "b")
    for at in (10, 12):
        run.call("check", instance="b", at=NOW.timestamp() + at, result="approved", is_right=True)

    assert run.judged().approved_twice == 1


@pytest.mark.parametrize(("alone", "found"), [(("b",), 0), ((), 1)])
def test_an_idempotency_key_holds_for_each_instance_that_can_ask_no_store(alone: tuple[str, ...], found: int):
    run = Run()
    without_a_store(run, *alone)
    other = new_id()
    run.call("verify", instance="b", at=NOW.timestamp() + 10, request_id=other, attempt=1, key="k")
    problems = [text for text in run.judged().problems["I1"] if "Idempotency-Key" in text]

    assert len(problems) == found
