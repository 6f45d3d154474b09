"""Codes are derived, told apart by attempt, and read as people type them."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.codes import Codes, tidy

SECRET = "a secret of the tests, long enough"
ids = st.uuids(version=None)
words = st.text("abcdefghij-_", min_size=1, max_size=12)
lengths = st.integers(4, 10)


@given(ids, words, st.integers(1, 30), lengths)
def test_each_code_tells_its_attempt_or_a_later_one_with_the_same_code(
    request_id: UUID, app: str, count: int, length: int
):
    codes = Codes(SECRET, length=length)
    about = {"app": app}
    every = {attempt: codes.code(request_id, attempt, **about) for attempt in range(1, count + 1)}

    for code in every.values():
        latest = max(attempt for attempt, other in every.items() if other == code)
        assert codes.matched(code, request_id, every, **about) == latest


@given(ids, words, lengths)
def test_a_code_has_its_length_with_leading_zeros(request_id: UUID, app: str, length: int):
    code = Codes(SECRET, length=length).code(request_id, 1, app=app)

    assert len(code) == length
    assert code.isdigit()


@pytest.mark.parametrize("changed", ["secret", "id", "attempt", "app"])
def test_the_code_depends_on(changed: str):
    def code(*, secret=SECRET, id=1, attempt=1, app="shop"):
        return Codes(secret, length=10).code(UUID(int=id), attempt, app=app)

    other = {"secret": SECRET + "!", "id": 2, "attempt": 2, "app": "bank"}[changed]

    assert code() != code(**{changed: other})


def test_codes_are_spread_evenly_over_their_digits():
    codes = Codes(SECRET, length=4)
    drawn = [codes.code(UUID(int=number), 1, app="") for number in range(20_000)]
    counts = [sum(code[0] == digit for code in drawn) for digit in map(str, range(10))]

    # 2,000 expected of each; 6 standard deviations are 254
    assert all(abs(count - 2_000) < 254 for count in counts)


@pytest.mark.parametrize(
    "typed", ["012 345", "012-345", " 012345\n", "012\u2009345", "012\u2013345", "０１２３４５", "٠١٢٣٤٥"]
)
def test_a_code_is_read_as_people_type_it(typed: str):
    assert tidy(typed) == "012345"


@given(st.text(max_size=20))
def test_no_text_breaks_the_comparison(entered: str):
    codes = Codes(SECRET, length=6)

    assert codes.matched(entered, UUID(int=1), [1, 2], app="") in (0, 1, 2)


def test_without_attempts_nothing_matches():
    assert Codes(SECRET, length=6).matched("0" * 6, UUID(int=1), [], app="") == 0
