"""The past as it was known then: what came later has not come yet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from core.warehouse import Warehouse
from metrics.catalogue import METRICS
from metrics.query import Question, ask
from tests.metrics.story import START, Request, all_of, at, tell

SLUGS = tuple(one.slug for one in METRICS)
THEN = at(60)


def story() -> list[Request]:
    """Each with something before `THEN` and something after it."""
    return [
        Request("late receipt").sent().receipt("pending", 3).receipt("delivered", 90),
        Request("late failure").sent().receipt("failed", 80, error_class="handset"),
        Request("failed, then delivered").sent().receipt("failed", 10, error_class="route").receipt("delivered", 70),
        Request("late entry").sent().receipt("delivered", 4).check("wrong", 20).check("approved", 75),
        Request("resent late")
        .sent()
        .receipt("delivered", 5)
        .sent(attempt=2, after=65)
        .check("approved", 95, attempt=2),
        Request("all in time", provider="beacon").sent().receipt("delivered", 6).check("approved", 30),
        Request("rejected", provider="beacon").sent("rejected", error_class="throttled"),
    ]


def asked(warehouse: Warehouse, **more: Any) -> pd.DataFrame:
    question = Question(
        metrics=SLUGS, start=START - timedelta(hours=1), end=THEN, dimensions=("provider",), bucket="1h"
    )
    return ask(warehouse, question, now=THEN, **more)


def test_the_answer_as_it_was_then_is_the_one_that_was_given_then(warehouse: Warehouse) -> None:
    events = all_of(*story())
    tell(warehouse, [event for event in events if event.at <= THEN])
    given = asked(warehouse)
    tell(warehouse, [event for event in events if event.at > THEN])

    pd.testing.assert_frame_equal(given, asked(warehouse, as_then=True))
    with pytest.raises(AssertionError):
        pd.testing.assert_frame_equal(given, asked(warehouse))
