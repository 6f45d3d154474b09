"""The Incidents page: none, some, one by its link, one that does not exist."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from app.charts import evidence as charts
from app.data.basics import ALL_SLUGS
from app.data.incidents import Moved
from app.moved import told
from app.timeframe import WEEK
from core.warehouse import Warehouse
from metrics.detection.deployments import touches
from metrics.detection.incidents import Notification
from metrics.detection.records import keep, keep_evidence
from metrics.readings import Reading
from tests.app.broken import NOW, evidence_of, incident
from tests.app.looking import Pages, run, text
from tests.app.traffic import load


@pytest.fixture
def page(pages: Pages) -> AppTest:
    return pages.view("incidents")


def judge(warehouse: Warehouse, ago: timedelta = timedelta(0)) -> None:
    """Detection has come so far."""
    minute = f"{datetime.now(UTC) - ago:%Y-%m-%d %H:%M:00}"
    warehouse.insert_json("detection_progress", json.dumps({"minute": minute}).encode())


def test_without_incidents_it_says_that_nothing_is_broken(warehouse: Warehouse, page: AppTest) -> None:
    judge(warehouse)

    shown = run(page)

    assert "Nothing is broken at the moment" in shown.success[0].value
    assert "No incident between" in text(shown)


@pytest.mark.parametrize(
    ("ago", "says"),
    [(None, "No minute was judged yet"), (timedelta(hours=3), "No minute was judged for 3 h")],
)
@pytest.mark.parametrize("link", [{}, {"provider": "beacon"}])
def test_nothing_is_called_well_that_nobody_judges(
    warehouse: Warehouse, page: AppTest, link: dict[str, str], ago: timedelta | None, says: str
) -> None:
    if ago:
        judge(warehouse, ago)

    written = text(run(page, **link))

    assert says in written
    assert "is broken at the moment" not in written


def test_what_filters_hide_is_not_called_well(warehouse: Warehouse, page: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)
    keep(warehouse, [incident()])
    judge(warehouse)

    shown = run(page, provider="beacon")

    assert not shown.success
    assert "Nothing that the filters keep is broken at the moment; without them there may be more" in text(shown)


def test_open_ones_stand_on_top_and_past_ones_in_the_list(warehouse: Warehouse, page: AppTest) -> None:
    over = incident("past", state="resolved", onset=NOW - timedelta(hours=5), resolved_at=NOW - timedelta(hours=4))
    keep(warehouse, [incident(), over])

    shown = run(page)

    assert "Open now (1)" in [heading.value for heading in shown.subheader]
    assert "incident=one" in text(shown)
    assert list(shown.dataframe[0].value["state"]) == ["open", "over"]


def test_a_name_in_a_scope_is_shown_and_not_obeyed(warehouse: Warehouse, page: AppTest) -> None:
    keep(warehouse, [incident(scope={"template": ("![](//evil.example/x.png)",)})])

    shown = run(page, incident="one")

    assert all("![](" not in heading.value for heading in shown.subheader)


def test_filters_keep_the_incidents_that_may_concern_them(warehouse: Warehouse, page: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=24)
    keep(warehouse, [incident(), incident("other", scope={"provider": ("beacon",)})])

    shown = run(page, provider="beacon")

    assert len(shown.dataframe[0].value) == 1


def test_one_incident_tells_all_that_is_known(warehouse: Warehouse, page: AppTest) -> None:
    one = incident()
    keep(
        warehouse, [one, incident("beside", scope={"country": ("DE",)})], [Notification("opened", one, one.detected_at)]
    )
    keep_evidence(warehouse, one.id, evidence_of(), at=NOW)

    shown = run(page, incident="one", tz="UTC")
    written = text(shown)

    assert "Delivery drop through aurora to Vodafone" in [heading.value for heading in shown.subheader]
    assert "Code MK:0004 (route): 80\xa0% of what failed more" in written.replace("\\", "")
    assert "The other providers are normal there" in written.replace("\\", "")
    assert "messages?" in written
    assert "incident=beside" in written
    assert len(shown.get("plotly_chart")) == 1
    assert "What else moved there" in [heading.value for heading in shown.subheader]
    assert "Without a value now or then: third-party success rate" in written.replace("\\", "")


@pytest.mark.parametrize(
    ("channel", "named"),
    [("delivered", "Delivery rate"), ("delay", "Receipt within a minute"), ("data", "Value")],
)
def test_what_was_measured_is_named_and_is_a_share(
    warehouse: Warehouse, page: AppTest, channel: str, named: str
) -> None:
    keep(warehouse, [incident(channel=channel)])

    shown = {figure.label: (figure.value, figure.delta) for figure in run(page, incident="one").metric}

    assert shown[named] == ("71.0 %", "expected 95.0 %, n 5,000")


def test_what_else_moved_is_what_differs_from_the_week_before_by_more_than_chance(
    warehouse: Warehouse, page: AppTest
) -> None:
    one = incident()
    load(warehouse, until=one.onset + timedelta(minutes=20), hours=1)
    load(warehouse, until=one.onset + timedelta(minutes=20) - WEEK, hours=1)
    keep(warehouse, [one])

    written = text(run(page, incident="one", tz="UTC")).replace("\\", "")

    assert "Within chance: third-party success rate" in written
    assert "against the same span a week before" in written


def test_the_metric_of_the_incident_itself_is_not_what_else_moved() -> None:
    calm = dict.fromkeys(ALL_SLUGS, Reading(0.9, 1000))
    found = Moved(calm | {"fill_rate": Reading(0.6, 1000), "delivery_rate": Reading(0.5, 1000)}, calm, same_age=False)

    lines = told(found, without="delivery_rate")

    assert lines[0] == "Fill rate: 60.0 % (n 1,000) after 90.0 % (n 1,000), −30.0 points: worse"
    assert not any("elivery rate" in line for line in lines)
    assert lines[1].startswith("Within chance: ")


def test_an_incident_that_does_not_exist_is_told(warehouse: Warehouse, page: AppTest) -> None:
    assert "No incident has this id" in text(run(page, incident="nothing"))


def test_the_evidence_shows_the_band_what_came_and_the_moments() -> None:
    figure = charts.chart(incident(), evidence_of(), zone="Asia/Shanghai", shade="dark", now=NOW)

    assert [trace.name for trace in figure.data] == ["", "expected, 95 of 100 minutes", "expected", "what came"]
    assert [note.text for note in figure.layout.annotations] == ["onset", "found"]
    assert "came where" in charts.told(incident(), evidence_of())


def test_an_incident_touches_what_its_scope_does_not_exclude() -> None:
    scope = {"provider": ("aurora",)}

    assert touches(scope, {"provider": ("aurora", "beacon"), "country": ("DE",)})
    assert touches({}, {"provider": ("beacon",)})
    assert not touches(scope, {"provider": ("beacon",)})
