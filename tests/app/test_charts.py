"""The panels: one scale, gaps where nothing is defined, a dashed tail, a colour that stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from app.charts import panels as charts
from app.charts.frames import Frame
from app.charts.providers import arrived_within
from app.palette import Colours
from app.timeframe import Window
from metrics.catalogue import metric
from metrics.delays import EDGES_SECONDS

START = datetime(2026, 3, 4, tzinfo=UTC)
DAY = Window(START, START + timedelta(days=1), 60)
DELIVERY = metric("delivery_rate")


def frame(**changes) -> Frame:
    usual = {
        "metric": DELIVERY,
        "low": 0.5,
        "high": 1.0,
        "window": DAY,
        "zone": "UTC",
        "bucket": "1h",
        "split": "provider",
        "shade": "light",
        "colours": Colours(),
    }
    return Frame(**(usual | changes))


def series(*values: float | None, hours=None, settled=None, n: int = 100, line: str = "aurora") -> pd.DataFrame:
    hours = range(len(values)) if hours is None else hours
    return pd.DataFrame(
        {
            "carrier": "O2",
            "line": line,
            "bucket": [pd.Timestamp(START + timedelta(hours=hour)) for hour in hours],
            "value": [float("nan") if value is None else value for value in values],
            "n": n,
            "settled": [True] * len(values) if settled is None else settled,
        }
    )


def drawn(rows: pd.DataFrame, *, usual=None, incidents=(), deployments=(), **changes):
    return charts.panel(
        frame(**changes), "O2", rows, value=0.9, n=1234, usual=usual, incidents=incidents, deployments=deployments
    )


def test_missing_buckets_and_undefined_values_are_gaps() -> None:
    (line,) = drawn(series(0.9, 0.8, None, 0.7, hours=[0, 1, 2, 9])).data

    assert not line.connectgaps
    assert [value is not None for value in line.y] == [True, True, False, False, True]


def test_the_tail_that_has_not_settled_is_dotted_and_joined_to_the_rest() -> None:
    old, young = drawn(series(0.9, 0.8, 0.7, 0.6, settled=[True, True, False, False])).data

    assert (old.line.dash, young.line.dash) == ("solid", "dot")
    assert old.y[-1] == young.y[0]
    assert young.hovertemplate[0] == "<extra></extra>"


@pytest.mark.parametrize("settled", [[True] * 3, [False] * 3])
def test_a_line_wholly_settled_or_wholly_young_is_one_trace(settled: list[bool]) -> None:
    assert len(drawn(series(0.9, 0.8, 0.7, settled=settled)).data) == 1


def test_every_point_tells_its_sample() -> None:
    (line,) = drawn(series(0.93, 0.8)).data

    assert list(line.text) == ["93.0 %  n 100", "80.0 %  n 100"]


def test_a_point_without_neighbours_is_a_dot() -> None:
    (line,) = drawn(series(0.9, 0.8, 0.7, hours=[0, 1, 9])).data

    assert list(line.marker.size) == [0, 0, 0, 5]
    assert line.marker.maxdisplayed == 0


def test_points_that_have_neighbours_are_no_dots() -> None:
    (line,) = drawn(series(0.9, 0.8, 0.7)).data

    assert list(line.marker.size) == [0, 0, 0]
    assert line.marker.maxdisplayed == 1


def test_points_of_small_samples_do_not_stretch_the_scale() -> None:
    rows = pd.concat([series(0.95, 0.91), series(0.0, n=1)])

    low, high = charts.scale(DELIVERY, rows)

    assert low >= 0.85
    assert high == 1.0


def test_the_delays_are_told_in_words_at_a_time_that_is_read() -> None:
    rows = [("aurora", seconds, seconds / 4000, 100) for seconds in EDGES_SECONDS]
    table = pd.DataFrame(rows, columns=["provider", "seconds", "share", "n"])

    assert "aurora 0.75 %" in arrived_within(table)


def test_the_scale_of_nothing_is_the_whole_range() -> None:
    assert charts.scale(DELIVERY, series(None, None)) == (0.0, 1.0)


def test_all_panels_have_the_same_axes() -> None:
    first, second = drawn(series(0.9)), drawn(series(0.6, 0.7))

    assert first.layout.yaxis.range == second.layout.yaxis.range
    assert first.layout.xaxis.range == second.layout.xaxis.range


def test_the_axis_shows_the_clock_of_the_zone() -> None:
    (line,) = drawn(series(0.9, 0.8), zone="Asia/Shanghai").data

    assert pd.Timestamp("2026-03-04 08:00") == pd.Timestamp(line.x[0])


def test_no_hour_is_drawn_twice_when_the_clock_goes_back() -> None:
    night = Window(datetime(2026, 10, 24, 20, tzinfo=UTC), datetime(2026, 10, 25, 4, tzinfo=UTC), 60)
    rows = series(*[0.9] * 8).assign(bucket=pd.date_range(night.start, periods=8, freq="h").tz_convert("Europe/Berlin"))

    (line,) = drawn(rows, window=night, zone="Europe/Berlin").data

    assert {pd.Timedelta("1h")} == set(pd.Series(pd.to_datetime(line.x)).diff().dropna())


def test_a_carrier_without_a_name_is_called_unknown_and_a_name_is_not_markup() -> None:
    assert "(carrier unknown)" in charts.panel(frame(), "", series(0.9), value=0.9, n=1).layout.title.text
    assert "<i>" not in charts.panel(frame(), "<i>x", series(0.9), value=0.9, n=1).layout.title.text


def test_a_name_keeps_its_colour_whatever_is_shown_beside_it() -> None:
    colours = Colours()
    colours.learn("provider", ["aurora", "beacon"])
    before = colours.line("provider", "beacon", "light")
    colours.learn("country", ["DE", "CN"])
    colours.learn("provider", ["acme"])

    assert before == colours.line("provider", "beacon", "light")
    assert colours.has("provider", ["acme", "beacon"])
    assert not colours.has("provider", ["acme", "other"])
    assert not colours.has("region", ["EMEA"])


def test_up_to_thirty_two_lines_look_different() -> None:
    colours = Colours()
    names = [f"provider-{number}" for number in range(32)]

    assert len({colours.line("provider", name, "dark") for name in names}) == 32
