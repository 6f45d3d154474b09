"""Deployments on the pages: a line with its words on the panels it is about, words below, and beside incidents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.charts import deployed
from app.spoken import DEPLOYMENT_BOX, beside, listed
from core.warehouse import Warehouse
from metrics.detection.deployments import deployment
from metrics.detection.records import keep
from metrics.detection.words import Word, deployments_between, say
from tests.app.broken import incident
from tests.app.looking import Pages, run, text
from tests.app.test_charts import START, frame
from tests.app.test_spoken import GRACE_OPERATES, as_viewer, press
from tests.app.traffic import load

NOW = datetime.now(UTC).replace(second=0, microsecond=0)


def of(what: str = "checkout 4.2", *, at: datetime = NOW, **scope: tuple[str, ...]) -> Word:
    return deployment(what, at=at, scope=scope, said_by="ci", now=at)


def noted(warehouse: Warehouse) -> list[Word]:
    return list(deployments_between(warehouse, NOW - timedelta(days=2), NOW + timedelta(days=2)))


def test_a_deployment_is_an_upright_line_with_its_words_on_the_side_with_room() -> None:
    late = of("a <b>very</b> long name of a deployment", at=START + timedelta(hours=20))

    early_mark, late_mark = deployed.marks(frame(), [of(at=START), late])
    named_late, named_early = deployed.marked(frame(), [of(at=START), late], above=1)

    assert late_mark["x0"] == late_mark["x1"] > early_mark["x0"]
    assert (named_early["text"], named_early["xanchor"], named_late["xanchor"]) == ("checkout 4.2", "left", "right")
    assert "<b>" not in named_late["text"]
    assert named_late["text"].endswith("…")
    assert 0 < named_late["yshift"] < named_early["yshift"]


def test_of_many_the_newest_are_drawn_and_only_those_of_the_panels_time() -> None:
    many = [of(str(hour), at=START + timedelta(minutes=10 * hour)) for hour in range(100)]

    assert len(deployed.marks(frame(), many)) == deployed.DRAWN_MOST
    assert deployed.marked(frame(), many, above=0)[0]["text"] == "99"
    assert deployed.marks(frame(), [of(at=START - timedelta(hours=1)), of(at=START + timedelta(days=1))]) == []


def test_in_words_the_newest_come_first_and_the_rest_is_counted() -> None:
    told = listed([of(f"v{number}", at=NOW + timedelta(minutes=number)) for number in range(7)], "UTC")

    assert told.index("v6") < told.index("v2")
    assert "v1" not in told
    assert told.endswith("; and 2 before.")


@pytest.mark.parametrize(("minutes", "told"), [(-14, "14 min before it began"), (20, "20 min after it began")])
def test_beside_an_incident_it_says_how_long_before_or_after(minutes: int, told: str) -> None:
    one = incident(onset=NOW)

    assert beside(of(at=NOW + timedelta(minutes=minutes), app=("shop",)), one) == f"checkout 4.2, from shop, {told}"


def test_the_carriers_page_says_what_was_deployed(warehouse: Warehouse, pages: Pages) -> None:
    load(warehouse, until=datetime.now(UTC), hours=2)
    say(warehouse, of("checkout 4.2", at=NOW - timedelta(minutes=30), provider=("never seen",)), now=NOW)
    say(warehouse, of("old", at=NOW - timedelta(hours=30)), now=NOW)

    written = text(run(pages.view("carriers"), tz="UTC", range="6h")).replace("\\", "")

    assert "deployment</span>" in written
    assert "checkout 4.2, through never seen" in written
    assert "old" not in next(line for line in written.splitlines() if line.startswith("Deployed"))


def test_filters_leave_out_deployments_of_something_else(warehouse: Warehouse, pages: Pages) -> None:
    load(warehouse, until=datetime.now(UTC), hours=2)
    say(warehouse, of(at=NOW - timedelta(minutes=30), provider=("aurora",)), now=NOW)

    written = text(run(pages.view("carriers"), tz="UTC", range="6h", provider="beacon"))

    assert "Deployed" not in written


def test_an_incident_names_deployments_within_an_hour_of_its_onset_where_it_is(
    warehouse: Warehouse, pages: Pages
) -> None:
    one = incident()
    keep(warehouse, [one])
    say(warehouse, of("near", at=one.onset - timedelta(minutes=14)), now=NOW)
    say(warehouse, of("far", at=one.onset - timedelta(minutes=61)), now=NOW)
    say(warehouse, of("elsewhere", at=one.onset, provider=("beacon",)), now=NOW)

    written = text(run(pages.view("incidents"), tz="UTC", incident="one")).replace("\\", "")

    assert "A deployment: near, everywhere, 14 min before it began" in written
    assert "a deployment: near, everywhere, 14 min before it began; noted by ci" in written
    assert "deployment: far" not in written
    assert "elsewhere" not in written


def test_an_operator_notes_a_deployment_and_withdraws_it(warehouse: Warehouse, pages: Pages) -> None:
    shown = pages.view("incidents")
    shown.session_state[DEPLOYMENT_BOX] = True
    press(run(shown, tz="UTC"), "Note")
    assert "say what was deployed" in text(shown)

    shown.text_input(key="deployed-what").set_value("checkout 4.2")
    shown.multiselect(key="deployed-app").set_value(["shop"])
    press(shown, "Note")

    (said,) = noted(warehouse)
    assert (said.text, said.scope, said.kind) == ("checkout 4.2", {"app": ("shop",)}, "deployment")

    shown = run(pages.view("incidents"), tz="UTC")
    assert "checkout 4.2, from shop; noted by" in text(shown).replace("\\", "")
    press(shown, "Withdraw")
    assert noted(warehouse) == []


def test_a_viewer_reads_deployments_and_has_no_form(warehouse: Warehouse, pages: Pages) -> None:
    say(warehouse, of(at=NOW - timedelta(minutes=30)), now=NOW)

    shown = run(as_viewer(pages.view("incidents", **GRACE_OPERATES)), tz="UTC", range="6h")

    assert "checkout 4.2" in text(shown).replace("\\", "")
    assert "Note" not in [button.label for button in shown.button]
