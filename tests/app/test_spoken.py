"""What operators say on the Incidents page: silences, maintenance windows, comments; and that nobody else can."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

import app
from app.access import LOCAL, OperatorsOnly
from app.spoken import DEPLOYMENT_BOX, SCOPE_BOX
from core.warehouse import Warehouse
from metrics.detection.records import keep
from metrics.detection.words import Word, comments_on, say, words_at
from tests.app.looking import Pages, run, text
from tests.app.test_incidents import incident
from tests.app.traffic import load

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
ADA = {"is_logged_in": True, "email": "ada@example.org", "email_verified": True, "name": "Ada Lovelace"}
TIME_ZONE = "Asia/Kolkata"
GRACE_OPERATES = {"dashboard_sign_in_file": "sign-in.toml", "dashboard_operators": "grace@example.org"}


@pytest.fixture
def page(pages: Pages) -> AppTest:
    """With its forms open."""
    shown = pages.view("incidents")
    for box in (SCOPE_BOX, DEPLOYMENT_BOX):
        shown.session_state[box] = True
    return shown


def as_viewer(page: AppTest) -> AppTest:
    page.user = dict(ADA)
    return page


def press(page: AppTest, label: str) -> AppTest:
    next(button for button in page.button if button.label == label).click()
    page.run()
    assert not page.exception
    return page


def standing(warehouse: Warehouse) -> list[Word]:
    return list(words_at(warehouse, datetime.now(UTC), ahead=timedelta(days=30)))


def test_an_operator_silences_a_scope_in_the_time_zone_of_the_page(warehouse: Warehouse, page: AppTest) -> None:
    load(warehouse, until=datetime.now(UTC), hours=2)
    shown = run(page, tz=TIME_ZONE, provider="beacon")
    assert shown.multiselect(key="word-provider").value == ["beacon"]
    end = NOW.astimezone(ZoneInfo(TIME_ZONE)).replace(tzinfo=None) + timedelta(hours=3)
    shown.datetime_input(key="word-end").set_value(end)
    shown.text_input(key="word-why").set_value("They move a data centre")
    press(shown, "Save")

    (said,) = standing(warehouse)
    assert (said.kind, said.said_by, said.text) == ("silence", LOCAL, "They move a data centre")
    assert said.scope == {"provider": ("beacon",)}
    assert said.end == NOW + timedelta(hours=3)
    assert "through beacon" in text(shown)
    assert "They move a data centre" in text(shown)
    assert shown.text_input(key="word-why").value == ""


def test_a_form_is_drawn_from_when_it_is_first_opened(warehouse: Warehouse, pages: Pages) -> None:
    shown = run(pages.view("incidents"))
    assert [box.proto.expanded for box in shown.expander] == [False, False]
    assert not shown.text_input

    for is_open in (True, False):
        shown.session_state[SCOPE_BOX] = is_open
        shown.run()

        assert [box.proto.expanded for box in shown.expander] == [is_open, False]
        assert [field.key for field in shown.text_input] == ["word-why"]


def test_the_form_begins_now_in_a_time_zone_chosen_later_too(warehouse: Warehouse, page: AppTest) -> None:
    shown = run(page, tz="UTC")
    shown.selectbox(key="zone").set_value("America/New_York").run()

    begins = shown.datetime_input(key="word-start").value
    assert begins.replace(tzinfo=ZoneInfo("America/New_York")) - NOW < timedelta(hours=1)


def test_maintenance_is_announced_ahead_and_can_be_withdrawn(warehouse: Warehouse, page: AppTest) -> None:
    shown = run(page, tz="UTC")
    shown.segmented_control(key="word-kind").set_value("maintenance")
    shown.checkbox(key="word-everything").set_value(True)
    start = (NOW + timedelta(days=2)).replace(tzinfo=None)
    shown.datetime_input(key="word-start").set_value(start)
    shown.datetime_input(key="word-end").set_value(start + timedelta(hours=1))
    shown.text_input(key="word-why").set_value("Upgrade")
    press(shown, "Save")

    (said,) = standing(warehouse)
    assert (said.kind, said.scope, said.start) == ("maintenance", {}, start.replace(tzinfo=UTC))

    press(shown, "Withdraw")
    assert standing(warehouse) == []
    assert "None holds or is to come" in text(shown)


@pytest.mark.parametrize(
    ("everything", "hours", "why", "told"),
    [
        (False, 1, "because", "choose what it covers"),
        (True, 1, " ", "say why"),
        (True, -1, "because", "its end is over"),
    ],
)
def test_what_cannot_be_is_refused_and_what_was_typed_stays(
    warehouse: Warehouse, page: AppTest, everything: bool, hours: int, why: str, told: str
) -> None:
    shown = run(page, tz="UTC")
    shown.checkbox(key="word-everything").set_value(everything)
    end = (NOW + timedelta(hours=hours)).replace(tzinfo=None)
    shown.datetime_input(key="word-end").set_value(end)
    shown.text_input(key="word-why").set_value(why)
    press(shown, "Save")

    assert told in text(shown)
    assert shown.text_input(key="word-why").value == why
    assert shown.datetime_input(key="word-end").value == end
    assert standing(warehouse) == []


def test_an_operator_silences_one_incident_and_comments_on_it(warehouse: Warehouse, page: AppTest) -> None:
    keep(warehouse, [incident()])
    shown = run(page, incident="one", tz="UTC")
    shown.selectbox(key="quiet-one-for").set_value("4 hours")
    shown.text_input(key="quiet-one-why").set_value("Known since *noon*")
    press(shown, "Silence")
    shown.text_area(key="comment-one-text").set_value("The provider was called.")
    press(shown, "Comment")

    (said,) = standing(warehouse)
    assert said.incident_id == "one"
    assert said.quiets(incident_id="one", scope={}, at=datetime.now(UTC) + timedelta(hours=3, minutes=59))
    assert [word.kind for word in comments_on(warehouse, "one")] == ["silence", "comment"]
    written = text(shown).replace("\\", "")
    assert f"{LOCAL}: The provider was called." in written
    assert "silenced it until" in written
    assert "Known since *noon*" in written


def test_an_empty_comment_is_refused(warehouse: Warehouse, page: AppTest) -> None:
    keep(warehouse, [incident()])
    shown = press(run(page, incident="one"), "Comment")

    assert "write the comment first" in text(shown)
    assert comments_on(warehouse, "one") == []


def test_a_viewer_reads_what_was_said_and_has_no_forms(warehouse: Warehouse, pages: Pages) -> None:
    word = Word("silence", "grace@example.org", "Known", start=NOW, end=NOW + timedelta(hours=1))
    say(warehouse, word, now=NOW)
    shown = run(as_viewer(pages.view("incidents", **GRACE_OPERATES)))

    assert "grace@example.org: Known" in text(shown).replace("\\", "")
    assert {button.label for button in shown.button} & {"Withdraw", "Save"} == set()
    assert not shown.expander


def test_a_viewer_of_one_incident_has_no_forms(warehouse: Warehouse, pages: Pages) -> None:
    keep(warehouse, [incident()])
    shown = run(as_viewer(pages.view("incidents", **GRACE_OPERATES)), incident="one")

    assert "No silence covers it" in text(shown)
    assert {button.label for button in shown.button} & {"Silence", "Comment"} == set()
    assert not shown.text_area


def test_a_viewer_who_finds_another_way_is_refused_where_it_is_done(warehouse: Warehouse, pages: Pages) -> None:
    other_way = (
        "from app import deeds\nfrom metrics.detection.words import Word\n"
        "deeds.tell(Word('comment', '', 'x', incident_id='one'))"
    )
    shown = as_viewer(pages.script(other_way, **GRACE_OPERATES)).run()

    assert [one.value for one in shown.exception] == [str(OperatorsOnly("only operators may do this"))]
    assert comments_on(warehouse, "one") == []


def test_the_questions_of_the_pages_cannot_write(warehouse: Warehouse, pages: Pages) -> None:
    write = "cached.warehouse().command(\"INSERT INTO operator_words (kind) VALUES ('silence')\")"
    shown = pages.script(f"from app import cached\n{write}").run()

    assert "readonly" in shown.exception[0].value
    assert standing(warehouse) == []


def test_one_module_of_the_dashboard_opens_a_connection_that_can_write() -> None:
    folder = Path(app.__file__).parent
    opening = {path.name: path.read_text() for path in folder.rglob("*.py") if "connect(" in path.read_text()}

    assert set(opening) == {"cached.py", "deeds.py"}
    assert opening["cached.py"].count("connect(") == opening["cached.py"].count("readonly=True") == 1
