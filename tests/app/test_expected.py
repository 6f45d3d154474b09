"""What is usual at an hour, and the spans of incidents, behind the lines of a panel."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from app.charts import expected
from app.charts.frames import Frame
from app.data.usual import usual
from app.palette import Colours
from app.timeframe import WEEK, Window, fixed
from app.views.carriers import concerns
from core.warehouse import Warehouse
from metrics.catalogue import metric
from tests.app.broken import incident
from tests.app.traffic import load

START = datetime(2026, 3, 4, tzinfo=UTC)
DAY = Window(START, START + timedelta(days=1), 60)


def frame(slug: str = "delivery_rate", zone: str = "UTC") -> Frame:
    return Frame(metric(slug), 0.5, 1.0, DAY, zone, "1h", "provider", "light", Colours())


def hours(*values: float, n: int = 100, column: str = "usual") -> pd.DataFrame:
    buckets = [pd.Timestamp(START + timedelta(hours=hour)) for hour in range(len(values))]
    return pd.DataFrame({"bucket": buckets, column: list(values), f"{column}_n": n, "n": n})


def test_the_band_is_wider_where_fewer_messages_were_sent() -> None:
    few, many = (
        expected.usual_band(frame(), hours(0.9, n=n)[["bucket", "n"]], hours(0.9)[["bucket", "usual"]])
        for n in (10, 1000)
    )

    widths = [high["y"].iloc[0] - low["y"].iloc[0] for high, low in (few, many)]
    assert widths[0] > 3 * widths[1]


def test_of_seconds_the_usual_value_is_a_line_without_a_band() -> None:
    (line,) = expected.usual_band(
        frame("delivery_time"), hours(4.0, 5.0)[["bucket", "n"]], hours(4.0, 5.0)[["bucket", "usual"]]
    )

    assert line["y"].tolist() == [4.0, 5.0]
    assert line["line"]["dash"] == "dash"


def test_an_open_incident_is_shaded_to_the_end_of_the_panel_and_named() -> None:
    one = incident(onset=START + timedelta(hours=20))

    (span,) = expected.spans(frame(zone="Asia/Shanghai"), [one])
    (name,) = expected.names(frame(zone="Asia/Shanghai"), [one])

    assert (span["x0"], span["x1"]) == (pd.Timestamp("2026-03-05 04:00"), pd.Timestamp("2026-03-05 08:00"))
    assert (name["x"], name["xanchor"]) == (span["x1"], "right")
    assert "Delivery" in name["text"]


def test_an_incident_of_another_time_is_not_drawn() -> None:
    past = incident(onset=START - timedelta(hours=5), state="resolved", resolved_at=START - timedelta(hours=4))

    assert expected.spans(frame(), [past]) == expected.names(frame(), [past]) == []


@pytest.mark.parametrize(
    ("scope", "touched"),
    [
        ({}, True),
        ({"provider": ("aurora",)}, True),
        ({"carrier": ("O2",)}, True),
        ({"carrier": ("Vodafone",)}, False),
        ({"country": ("DE",)}, True),
        ({"country": ("CN",)}, False),
    ],
)
def test_an_incident_is_marked_on_the_panels_it_is_about(scope, touched: bool) -> None:
    assert touched is concerns(scope, "O2", {"O2": frozenset({"DE"})})


def test_usual_is_the_mean_of_the_same_hours_of_the_weeks_before(warehouse: Warehouse) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    load(warehouse, until=now - WEEK, hours=2, delivered_of_ten=9)
    load(warehouse, until=now - 2 * WEEK, hours=2, delivered_of_ten=7)
    window = fixed(now - timedelta(hours=2), now)

    rows = usual(
        warehouse, window, "UTC", (), slug="delivery_rate", bucket="1h", carriers=("O2",), now=now, on_time_seconds=60,
    )  # fmt: skip

    assert rows["bucket"].dt.tz_convert(UTC).tolist() == [now - timedelta(hours=2), now - timedelta(hours=1)]
    assert rows["usual"].mean() == pytest.approx(0.8, abs=0.05)
    assert set(rows["usual_n"]) == {48}


def test_the_last_hour_has_its_usual_value_when_summer_time_began_meanwhile(warehouse: Warehouse) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 4, 1, 12, tzinfo=berlin)
    load(warehouse, until=datetime(2026, 3, 25, 18, tzinfo=berlin), hours=30)

    rows = usual(
        warehouse, fixed(now - timedelta(hours=2), now), "Europe/Berlin", (), slug="delivery_rate", bucket="1h",
        carriers=("O2",), now=now, on_time_seconds=60,
    )  # fmt: skip

    assert [at.hour for at in rows["bucket"]] == [10, 11]


def test_what_was_usual_is_asked_while_the_clock_shows_an_hour_twice(warehouse: Warehouse) -> None:
    now = datetime(2026, 10, 25, 1, 20, tzinfo=UTC)

    rows = usual(
        warehouse, fixed(now - timedelta(hours=1), now), "Europe/Berlin", (), slug="delivery_rate", bucket="5m",
        carriers=("O2",), now=now, on_time_seconds=60,
    )  # fmt: skip

    assert rows.empty


def test_without_a_past_nothing_is_usual(warehouse: Warehouse) -> None:
    rows = usual(
        warehouse, DAY, "UTC", (), slug="delivery_rate", bucket="1h", carriers=("O2",), now=DAY.end, on_time_seconds=60
    )

    assert rows.empty
