"""The tiles: undefined is a dash with its reason, a change is judged only when it is more than chance."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from app import downloads, tiles, words
from app.data.overview import OverviewData, Spark
from app.data.uptime import Uptime
from metrics.catalogue import METRICS, metric
from metrics.readings import Reading

DELIVERY, RESEND, TIME = metric("delivery_rate"), metric("resend_rate"), metric("delivery_time")
ON_TIME = metric("on_time_rate")
FLAT = Spark((0.9, 0.9, 0.9), (True, True, False), "1h")


def tile(
    shown=DELIVERY,
    *,
    now: Reading,
    before: Reading,
    other: Reading | None = None,
    spark: Spark = FLAT,
    on_time_seconds=60,
) -> str:
    past, beside = tiles.Past(before, "last week"), tiles.Past(other, "yesterday") if other else None
    return tiles.tile(
        shown, now, past, beside, spark, shade="light", link="carriers?range=7d", on_time_seconds=on_time_seconds
    )


def reading(value: float | None, n: int = 10_000, *, settled: bool = True) -> Reading:
    return Reading(value, n, settled=settled)


def test_an_undefined_value_is_a_dash_with_its_reason() -> None:
    html = tile(now=reading(None, 0), before=reading(0.9), spark=Spark((), (), "1h"))

    assert f">{words.UNDEFINED}<" in html
    assert "nothing to count" in html
    assert "0.0 %" not in html


@pytest.mark.parametrize(
    ("shown", "now", "before", "word", "arrow"),
    [
        (DELIVERY, 0.95, 0.90, "better", "▲"),
        (DELIVERY, 0.85, 0.90, "worse", "▼"),
        (RESEND, 0.10, 0.05, "worse", "▲"),
        (RESEND, 0.05, 0.10, "better", "▼"),
        (TIME, 9.0, 4.0, "worse", "▲"),
        (DELIVERY, 0.901, 0.900, "within chance", "▲"),
        (DELIVERY, 0.9, 0.9, "within chance", "●"),
    ],
)
def test_the_good_direction_of_the_metric_judges_a_change(shown, now, before, word: str, arrow: str) -> None:
    html = tile(shown, now=reading(now), before=reading(before))

    assert word in html
    assert f"{arrow} " in html
    assert ("hg-good" in html) == (word == "better")
    assert ("hg-bad" in html) == (word == "worse")


@pytest.mark.parametrize(
    ("value", "n", "told"),
    [
        (0.9, 100, "82.6 – 94.5 %"),
        (0.9, 10_000, "89.4 – 90.6 %"),
        (0.9995, 10_000, "99.88 – 99.98 %"),
        (1.0, 4, "51.0 – 100.0 %"),
    ],
)
def test_how_far_chance_may_have_moved_a_ratio_stands_beside_it(value: float, n: int, told: str) -> None:
    assert told in tile(now=reading(value, n), before=reading(0.9))


def test_beside_a_median_stand_the_slow_ones_and_no_interval() -> None:
    html = tile(TIME, now=Reading(4.2, 10_000, p95=21.6), before=reading(4.2))

    assert "p95 21.6 s" in html
    assert words.BETWEEN not in html


def test_the_same_change_on_a_small_sample_is_not_judged() -> None:
    assert "within chance" in tile(now=reading(0.85, 40), before=reading(0.90, 40))


@pytest.mark.parametrize(
    ("settled", "same_age", "says"),
    [
        (False, True, "last week at this age 90.0 %"),
        (True, True, "last week 90.0 %"),
        (False, False, "last week 90.0 %"),
    ],
)
def test_what_still_settles_is_compared_with_what_was_as_young(settled: bool, same_age: bool, says: str) -> None:
    now, before = reading(0.5, settled=settled), reading(0.9)
    every = {one.slug: now for one in METRICS}
    data = OverviewData(
        now=every,
        before=dict.fromkeys(every, before),
        other=dict.fromkeys(every, reading(0.5)),
        same_age=same_age,
        sparks=dict.fromkeys(every, FLAT),
        uptime=Uptime(pd.DataFrame(), pd.DataFrame(), "1h"),
    )

    html = tiles.board(
        data, shade="light", link="carriers?range=1h", compared="last week", beside="yesterday", on_time_seconds=60
    )

    assert says in html
    assert f"{says.replace('last week', 'yesterday').removesuffix(' 90.0 %')}: ±0.00 points<" in html
    assert "hg-bad" in html


def test_without_a_value_last_week_there_is_no_change() -> None:
    assert "no value last week" in tile(now=reading(0.9), before=reading(None, 0))


def test_the_change_that_was_not_chosen_stands_beside_it_and_is_not_judged() -> None:
    html = tile(now=reading(0.95), before=reading(0.90), other=reading(0.99, 1_234))

    assert "▲ +5.00 points" in html
    assert "better" in html
    assert ">yesterday: −4.00 points<" in html
    assert 'title="yesterday 99.00 %, n 1,234"' in html
    assert "hg-bad" not in html


@pytest.mark.parametrize("before", [reading(0.9), reading(None, 0)])
def test_a_change_against_nothing_is_a_dash(before: Reading) -> None:
    assert f">yesterday: {words.UNDEFINED}<" in tile(now=reading(0.9), before=before, other=reading(None, 0))


def test_the_state_says_settled_or_settling_and_for_how_long() -> None:
    assert ">settled<" in tile(now=reading(0.9), before=reading(0.9))
    assert "settling · 60 min" in tile(now=reading(0.9, settled=False), before=reading(0.9))


@pytest.mark.parametrize(("on_time_seconds", "minutes"), [(60, 3), (90, 4), (600, 12)])
def test_what_waits_for_the_on_time_limit_says_so_long_as_it_settles(on_time_seconds: int, minutes: int) -> None:
    young = reading(0.9, settled=False)

    assert f"settling · {minutes} min" in tile(ON_TIME, now=young, before=young, on_time_seconds=on_time_seconds)


def test_a_sparkline_breaks_at_an_undefined_value_and_dashes_what_is_young() -> None:
    spark = Spark((0.9, 0.8, None, 0.9, 0.7, 0.8), (True, True, True, True, True, False), "1h")

    old = tiles._path(spark, 0.7, 0.9, young=False)
    young = tiles._path(spark, 0.7, 0.9, young=True)

    assert (old.count("M"), young.count("M")) == (2, 1)


def test_text_of_a_metric_cannot_become_html() -> None:
    nasty = replace(DELIVERY, title="<script>alert(1)</script>")

    assert "<script>" not in tile(nasty, now=reading(0.9), before=reading(0.9))


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.9312, "ratio", "93.1 %"),
        (0.9987, "ratio", "99.87 %"),
        (1.0, "ratio", "100.0 %"),
        (0.0, "ratio", "0.0 %"),
        (4.249, "seconds", "4.25 s"),
        (21.68, "seconds", "21.7 s"),
        (None, "ratio", "–"),
        (float("nan"), "seconds", "–"),
    ],
)
def test_a_value_reads_with_its_unit(value: float | None, unit: str, text: str) -> None:
    assert text == words.figure(value, unit)


@pytest.mark.parametrize(("name", "written"), [("=1+1", "'=1+1"), ("@x", "'@x"), ("O2", "O2"), ("", "")])
def test_a_name_in_a_csv_file_is_never_a_formula(name: str, written: str) -> None:
    assert words.cell(name) == written


def test_what_is_undefined_is_empty_in_a_csv_file() -> None:
    table = pd.DataFrame({"metric": ["=fill_rate", "success"], "value": [None, None], "n": [0, 0]})

    assert downloads.content(table).decode("utf-8-sig") == "metric,value,n\n'=fill_rate,,0\nsuccess,,0\n"
