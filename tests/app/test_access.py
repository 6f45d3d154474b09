"""Who may look and who may do something, and when the command refuses to listen."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError
from streamlit.testing.v1 import AppTest

from app import access, cli
from app.access import Person, Refused
from core.errors import ConfigurationError
from core.settings.watching import Dashboard
from core.warehouse import Warehouse
from tests.app.looking import Pages, run, text

ADA = {"is_logged_in": True, "email": "Ada@Example.org", "email_verified": True, "name": "Ada Lovelace"}
LISTED = Dashboard(sign_in_file="x.toml", operators=["ada@example.org"], viewers=["@example.org", "bob@other.example"])
GOOD = {
    "redirect_uri": "https://dashboard.example.org/oauth2callback",
    "cookie_secret": "c" * 32,
    "client_id": "heliograph",
    "client_secret": "of the tests",
    "server_metadata_url": "https://id.example.org/.well-known/openid-configuration",
}


def write(folder: Path, **values: str) -> Path:
    path = folder / "sign-in.toml"
    path.write_text("[auth]\n" + "".join(f'{name} = "{value}"\n' for name, value in values.items() if value))
    return path


def test_without_signing_in_the_local_person_is_an_operator_and_nobody_else_looks():
    assert access.admit(Dashboard(), {}, is_local=True) == Person(access.LOCAL, "", is_operator=True)
    assert isinstance(access.admit(Dashboard(), ADA, is_local=False), Refused)


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("127.0.0.1:8501", True), ("localhost", True), ("[::1]:8501", True),
        ("evil.example:8501", False), ("10.0.0.7", False), ("", False), ("[::1", False), ("localhost.evil.example", False),
    ],
)  # fmt: skip
def test_a_name_of_somebody_else_that_leads_to_loopback_is_not_here(host: str, is_here: bool):
    assert access.is_asked_for_here(host) is is_here


@pytest.mark.parametrize("user", [{}, {"is_logged_in": False}, {**ADA, "is_logged_in": "yes"}])
def test_nobody_is_let_in_before_signing_in(user):
    assert access.admit(LISTED, user, is_local=True) is None


def test_an_operator_is_one_whatever_the_case_of_the_letters():
    assert access.admit(LISTED, ADA, is_local=False) == Person("Ada Lovelace", "Ada@Example.org", is_operator=True)


@pytest.mark.parametrize("address", ["eve@example.org", "bob@other.example"])
def test_a_viewer_stands_on_the_list_by_name_or_by_domain(address: str):
    found = access.admit(LISTED, {**ADA, "email": address}, is_local=False)

    assert isinstance(found, Person)
    assert not found.is_operator


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"email": "eve@evil-example.org"}, "not on the list"),
        ({"email": "eve@example.org.evil.example"}, "not on the list"),
        ({"email": ""}, "did not tell an e-mail address"),
        ({"email_verified": False}, "does not say that Ada@Example.org was verified"),
        ({"email_verified": None}, "does not say"),
        ({"email_verified": "false"}, "does not say"),
    ],
)
def test_an_address_that_is_unverified_or_on_no_list_is_refused(claims, reason: str):
    found = access.admit(LISTED, {**ADA, **claims}, is_local=True)

    assert isinstance(found, Refused)
    assert reason in found.reason


def test_without_viewers_everybody_who_can_sign_in_may_look():
    found = access.admit(Dashboard(sign_in_file="x.toml"), ADA, is_local=False)

    assert found == Person("Ada Lovelace", "Ada@Example.org", is_operator=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_signing_in(host: str):
    access.check(Dashboard(), host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "dashboard.example.org"])
def test_another_host_is_refused_until_people_sign_in(host: str, tmp_path: Path):
    with pytest.raises(ConfigurationError) as refused:
        access.check(Dashboard(), host)

    assert "[dashboard] sign_in_file" in refused.value.hint
    access.check(Dashboard(sign_in_file=str(write(tmp_path, **GOOD))), host)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"client_secret": "", "client_id": ""}, "lacks auth.client_id, auth.client_secret"),
        ({"cookie_secret": "short"}, "fewer than 32"),
        ({"redirect_uri": "https://dashboard.example.org/"}, "/oauth2callback behind it"),
    ],
)
def test_a_sign_in_file_that_cannot_work_is_told_before_anybody_meets_it(change, told: str, tmp_path: Path):
    with pytest.raises(ConfigurationError, match=told):
        access.check(Dashboard(sign_in_file=str(write(tmp_path, **(GOOD | change)))), "127.0.0.1")


@pytest.mark.parametrize("content", ["[auth", "[other]\nx = 1", None])
def test_a_file_that_is_none_is_told(content: str | None, tmp_path: Path):
    path = tmp_path / "sign-in.toml"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ConfigurationError, match=r"sign-in\.toml"):
        access.check(Dashboard(sign_in_file=str(path)), "127.0.0.1")


def test_several_providers_are_named_and_each_is_checked(tmp_path: Path):
    path = tmp_path / "sign-in.toml"
    tables = (
        '[auth.work]\nclient_id = "x"\nclient_secret = "y"\nserver_metadata_url = "z"\n[auth.other]\nclient_id = "x"\n'
    )
    path.write_text(f'[auth]\nredirect_uri = "{GOOD["redirect_uri"]}"\ncookie_secret = "{"c" * 32}"\n{tables}')

    with pytest.raises(ConfigurationError, match=r"lacks auth\.other\.client_secret, auth\.other\.server_metadata_url"):
        access.check(Dashboard(sign_in_file=str(path)), "127.0.0.1")


def test_lists_that_nobody_can_be_on_are_refused():
    with pytest.raises(ValidationError, match="until sign_in_file says"):
        Dashboard(operators=["ada@example.org"])
    with pytest.raises(ValidationError, match="write an address like"):
        Dashboard(sign_in_file="x.toml", viewers=["ada"])


def test_the_command_says_what_to_set_and_starts_nothing(tmp_path: Path):
    config = tmp_path / "heliograph.toml"
    config.touch()
    refused = CliRunner().invoke(cli.dashboard, ["--host", "0.0.0.0"], env={"HELIOGRAPH_CONFIG": str(config)})

    assert isinstance(refused.exception, ConfigurationError)
    assert "everybody who reaches this machine" in str(refused.exception)


@pytest.fixture
def dashboard(pages: Pages, tmp_path: Path) -> AppTest:
    """The whole dashboard with signing in."""
    sign_in_file = str(write(tmp_path, **GOOD))
    page = pages.dashboard(dashboard_sign_in_file=sign_in_file, dashboard_viewers="@example.org")
    page.secrets["auth"] = dict(GOOD)
    return page


def test_before_signing_in_there_is_a_button_and_no_data(warehouse: Warehouse, dashboard: AppTest):
    shown = run(dashboard)

    assert [button.label for button in shown.button] == ["Sign in"]
    assert [title.value for title in shown.title] == ["Heliograph"]


def test_whoever_is_turned_away_reads_why_and_can_sign_out(warehouse: Warehouse, dashboard: AppTest):
    dashboard.user = {**ADA, "email": "eve@other.example"}
    shown = run(dashboard)

    assert "is not on the list" in text(shown)
    assert [button.label for button in shown.button] == ["Sign out"]
    assert [title.value for title in shown.title] == ["Heliograph"]


def test_a_viewer_sees_the_pages_under_their_name(warehouse: Warehouse, dashboard: AppTest):
    dashboard.user = dict(ADA)
    shown = run(dashboard)

    assert [title.value for title in shown.title] == ["Overview"]
    assert "Ada Lovelace" in text(shown)
    assert "Sign out" in [button.label for button in shown.button]
