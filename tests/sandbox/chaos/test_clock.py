"""Ids that run backwards are found, and answers that only look so are not taken for it."""

from __future__ import annotations

from sandbox.chaos.faults.clock import out_of_order
from sandbox.chaos.ledger import Call, Ledger
from tests.sandbox.chaos.run import new_id

FIRST, SECOND = sorted((new_id(), new_id()))


def sent(at: float, request_id: object, key: str, *, status: int = 201) -> Call:
    return Call(
        kind="verify", instance="a", at=at, seconds=0.1, status=status, request_id=request_id, attempt=1, key=key
    )


def found(*calls: Call) -> int:
    return len(list(out_of_order(Ledger(calls=list(calls)), since=0.0)))


def test_a_smaller_id_after_a_greater_one_was_answered_is_found():
    assert found(sent(1.0, SECOND, "one"), sent(2.0, FIRST, "two")) == 1


def test_growing_ids_are_fine():
    assert found(sent(1.0, FIRST, "one"), sent(2.0, SECOND, "two")) == 0


def test_two_calls_under_way_at_once_have_no_order():
    assert found(sent(1.0, SECOND, "one"), sent(1.05, FIRST, "two")) == 0


def test_an_answer_given_again_and_a_resend_have_older_ids():
    assert found(sent(1.0, FIRST, "one"), sent(2.0, SECOND, "two"), sent(3.0, FIRST, "one")) == 0
    assert found(sent(1.0, SECOND, "one"), sent(2.0, FIRST, "two", status=200)) == 0
    assert found(sent(1.0, SECOND, "one", status=200), sent(2.0, FIRST, "two")) == 0
