"""Signing in and out in a real browser, with an identity provider that is there only for the test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Error, Page, expect

from metrics.detection.records import keep
from metrics.detection.words import words_at
from tests.app.broken import incident
from tests.app.browser.conftest import Stage
from tests.app.conftest import running
from tests.app.looking import SLOW_MS, see
from tests.app.traffic import load
from tests.support.identity import IdentityProvider, running_provider
from tests.support.warehouses import Databases

pytestmark = pytest.mark.browser

ADA = {"email": "ada@example.org", "email_verified": True, "name": "Ada Lovelace"}
GRACE = {"email": "grace@example.org", "email_verified": True, "name": "Grace Hopper"}


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with running_provider() as started:
        yield started


@pytest.fixture(scope="module")
def guarded(
    provider: IdentityProvider, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A dashboard in which Ada operates and Grace looks."""
    folder = tmp_path_factory.mktemp("guarded")
    file = str(provider.sign_in_file(folder))
    lists = {"operators": ADA["email"], "viewers": GRACE["email"]}
    with (
        databases.lent() as database,
        running(database.settings, folder, sign_in_file=file, **lists) as started,
    ):
        load(database.warehouse, until=datetime.now(UTC), hours=2)
        keep(database.warehouse, [incident()])
        yield Stage(started.url, database.settings, database.warehouse)


def sign_in(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Sign in").click()


def drawn(page: Page) -> None:
    """Wait until nothing more comes: what is not there then is not there."""
    page.locator("[data-test-script-state=notRunning]").wait_for(state="attached")
    page.wait_for_load_state("networkidle")


def go_on(page: Page, url: str) -> None:
    """Open an address, though the page may still be on its way back to where its reader was before signing in."""
    try:
        page.goto(url)
    except Error:
        page.goto(url)


def test_nothing_is_shown_before_signing_in_and_after_signing_out(
    provider: IdentityProvider, guarded: Stage, page: Page
) -> None:
    provider.person, before = GRACE, provider.signed_out
    page.goto(guarded.url)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=SLOW_MS)
    drawn(page)
    assert page.locator(".hg-tile").count() == 0

    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".hg-tile")).to_have_count(10, timeout=SLOW_MS)

    page.get_by_role("button", name="Grace Hopper").click()
    see(page, "Viewer: may look.")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=SLOW_MS)
    drawn(page)
    assert page.locator(".hg-tile").count() == 0
    assert provider.signed_out == before + 1


def test_a_link_that_was_opened_before_signing_in_is_where_it_leads(
    provider: IdentityProvider, guarded: Stage, page: Page
) -> None:
    provider.person = GRACE

    sign_in(page, f"{guarded.url}/providers?range=6h&provider=beacon")

    page.wait_for_url("**/providers?range=6h&provider=beacon")
    see(page, "What goes wrong")
    see(page, "Provider: beacon")


@pytest.mark.parametrize(
    ("person", "why"),
    [
        ({**ADA, "email": "eve@example.org"}, "eve@example.org is not on the list"),
        ({**ADA, "email_verified": False}, "does not say that ada@example.org was verified"),
    ],
)
def test_whoever_is_turned_away_reads_why_and_can_sign_in_as_another(
    provider: IdentityProvider,
    guarded: Stage,
    page: Page,
    person: dict[str, object],
    why: str,
) -> None:
    provider.person = person
    sign_in(page, guarded.url)
    see(page, why)

    provider.person = GRACE
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Grace Hopper")).to_be_visible(timeout=SLOW_MS)


def test_a_viewer_reads_and_an_operator_silences_an_incident(
    provider: IdentityProvider, guarded: Stage, page: Page
) -> None:
    provider.person = GRACE
    sign_in(page, guarded.url)
    expect(page.get_by_role("button", name="Grace Hopper")).to_be_visible(timeout=SLOW_MS)
    go_on(page, f"{guarded.url}/incidents?incident=one")
    see(page, "No silence covers it")
    drawn(page)
    assert page.get_by_role("button", name="Silence").count() == 0

    provider.person = ADA
    page.get_by_role("button", name="Grace Hopper").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Ada Lovelace")).to_be_visible(timeout=SLOW_MS)
    go_on(page, f"{guarded.url}/incidents?incident=one")
    page.get_by_label("Why").fill("Known since noon")
    page.get_by_role("button", name="Silence", exact=True).click()

    see(page, "Silenced for 1 hour.")
    see(page, "Known since noon")
    (said,) = words_at(guarded.warehouse, datetime.now(UTC))
    assert (said.kind, said.incident_id, said.said_by) == ("silence", "one", "ada@example.org")
