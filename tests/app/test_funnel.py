"""The Funnel page: what it says in every state, and the words and bars it is made of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.causes import ERROR_CLASSES, LOSS_TITLES, STEP_TITLES, cause
from app.charts import funnel as charts
from core import events
from core.events import Send, encode_lines
from core.ids import uuid7_from
from core.warehouse import Warehouse
from metrics.funnel import LOST_STEPS, STEPS
from tests.app.looking import Pages, run, text
from tests.app.traffic import load

COUNTS = {"submitted": 200, "accepted": 190, "received": 180, "delivered": 160, "filled": 100, "approved": 100}


@pytest.fixture
def funnel(pages: Pages) -> AppTest:
    return pages.view("funnel")


def test_with_codes_it_shows_steps_causes_and_the_parts(warehouse: Warehouse, funnel: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)

    shown = run(funnel, split="carrier")
    (parts,) = (element.value for element in shown.dataframe)

    assert "Why they were lost" in [heading.value for heading in shown.subheader]
    assert 'data-title="Lost at">not delivered</td>' in text(shown)
    assert list(parts["carrier"]) == ["Vodafone", "O2", "(carrier unknown)"]


@pytest.mark.parametrize("split", ["none", "provider"])
def test_without_data_it_says_how_to_get_some(warehouse: Warehouse, funnel: AppTest, split: str) -> None:
    assert "There is no data yet" in text(run(funnel, split=split))


def test_a_range_without_codes_is_told(warehouse: Warehouse, funnel: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)

    shown = run(funnel, range="custom", **{"from": "2020-01-01T00:00", "to": "2020-01-02T00:00"})

    assert "No code was sent in this range" in text(shown)


def test_a_range_with_notifications_alone_is_called_one_without_codes(warehouse: Warehouse, funnel: AppTest) -> None:
    at = datetime.now(UTC) - timedelta(minutes=20)
    sent = Send(at=at, request_id=uuid7_from(at, "parcel"), attempt=1, category="notification", cause="first",
                outcome="accepted", provider="aurora", carrier="O2", country="DE", region="Berlin", app="shop",
                purpose="parcel", template="parcel")  # fmt: skip
    warehouse.insert_json("send_events", encode_lines([sent]))

    assert "No code was sent in this range" in text(run(funnel))


def test_bars_show_how_many_came_so_far_and_how_many_were_lost() -> None:
    reached, lost = charts.whole(COUNTS, "light").data

    assert list(reached.x) == list(COUNTS.values())
    assert list(lost.x) == [0, 10, 10, 20, 60, 0]


def test_the_shares_of_a_value_add_up_to_everything() -> None:
    parts = pd.DataFrame([{"provider": "aurora", **COUNTS}, {"provider": "", **COUNTS}])

    traces = charts.shares(parts, "provider", "dark").data

    assert sum(trace.x[0] for trace in traces) == pytest.approx(100)
    assert traces[0].y[1] == "(provider unknown)"


def test_every_step_loss_and_class_has_words() -> None:
    assert set(STEP_TITLES) == set(STEPS)
    assert set(LOSS_TITLES) == set(LOST_STEPS)
    assert set(ERROR_CLASSES) == set(events.ErrorClass.__args__)


def test_a_cause_reads_as_a_sentence() -> None:
    assert cause("failed", "handset") == "Failed: handset off, out of reach or full"
    assert cause("silent", "") == "No final receipt after an hour"
