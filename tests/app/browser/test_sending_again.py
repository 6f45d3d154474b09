"""A report sent again from its page in a real browser, by real schedulers, over a real mail server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.settings.servers import Warehouse as WarehouseSettings
from sandbox.children import Child, Process, launch, log_shows, wait_until_ready
from sandbox.mailbox.store import MailFolder
from tests.app.browser.test_keyboard import walked
from tests.app.browser.test_pages import faults
from tests.app.conftest import environment, running, until
from tests.app.kept import keep_report
from tests.app.looking import SLOW_MS, see
from tests.support.mailbox import running_mailbox
from tests.support.warehouses import Databases

pytestmark = pytest.mark.browser

RECIPIENTS = ["ops@example.org", "quality@example.org"]
DAY = date(2026, 3, 2)
FONT_SIZE = "element => getComputedStyle(element).fontSize"


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[MailFolder]:
    """What a mail server took; it, the recipients and a kept report are in the settings of this folder's programs."""
    with running_mailbox(tmp_path) as (port, folder):
        lines = ["[mail]", f"port = {port}", f"recipients = {json.dumps(RECIPIENTS)}", "[reports]"]
        lines += [f"{kind} = false" for kind in ("daily", "weekly", "monthly")]
        (tmp_path / "heliograph.toml").write_text("\n".join(lines))
        keep_report(tmp_path / ".heliograph" / "reports", DAY)
        yield folder


@pytest.fixture
def url(mails: MailFolder, databases: Databases, tmp_path: Path) -> Iterator[tuple[str, WarehouseSettings]]:
    with databases.lent() as database, running(database.settings, tmp_path) as dashboard:
        yield f"{dashboard.url}/reports", database.settings


@contextmanager
def scheduler(name: str, settings: WarehouseSettings, folder: Path) -> Iterator[Child]:
    argv = [sys.executable, "-c", "from core.cli import main; main(['scheduler'])"]
    child = launch(
        Process(name=name, argv=argv, is_ready=log_shows("scheduler runs"), env=environment(settings), cwd=folder),
        folder,
    )
    wait_until_ready(child)
    try:
        yield child
    finally:
        child.stop()


def ask(page: Page) -> None:
    page.get_by_role("button", name="Send again").click()
    for address in RECIPIENTS:
        see(page, address)
    page.get_by_role("button", name="Send it").click()


def nothing_grave(page: Page) -> None:
    until(lambda: faults(page) == [], what=lambda: "\n".join(faults(page)))


def test_what_an_operator_asks_for_is_sent_once_by_two_schedulers_and_told(
    url: tuple[str, WarehouseSettings], mails: MailFolder, page: Page, tmp_path: Path
) -> None:
    address, settings = url
    page.goto(address)
    see(page, "Send again")
    size = page.get_by_role("heading", name="Reports").evaluate(FONT_SIZE)
    ask(page)
    see(page, "To be sent again")
    see(page, "A scheduler takes it up within seconds")
    assert page.get_by_role("heading", name="Reports").evaluate(FONT_SIZE) == size
    expect(page.get_by_role("button", name="Send again")).to_be_disabled()
    expect(page.get_by_role("button", name="Send it")).to_have_count(0)
    page.reload()
    see(page, "To be sent again")
    nothing_grave(page)
    assert mails.ids() == []

    with ExitStack() as stack:
        for name in ("one", "two"):
            stack.enter_context(scheduler(name, settings, tmp_path))
        see(page, "Sent again")
        see(page, "sent to 2 recipients")
        page.reload()
        see(page, "Sent again")
    nothing_grave(page)

    (mail,) = mails.list(limit=10)
    assert mail.subject == f"Quality of {DAY}"
    assert mails.get(mail.id).envelope_to == ", ".join(RECIPIENTS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_confirmation_has_no_grave_fault(url: tuple[str, WarehouseSettings], page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url[0])
    page.get_by_role("button", name="Send again").click()
    see(page, RECIPIENTS[0])

    nothing_grave(page)


def test_the_confirmation_opens_and_closes_by_keys(url: tuple[str, WarehouseSettings], page: Page) -> None:
    page.goto(url[0])
    page.get_by_role("button", name="Send again").focus(timeout=SLOW_MS)
    page.keyboard.press("Enter")
    see(page, RECIPIENTS[0])
    page.get_by_role("button", name="Send it").wait_for()

    names = list(walked(page, until="Send it"))
    page.keyboard.press("Escape")

    assert names[-1] == "Send it", names
    expect(page.get_by_role("button", name="Send it")).to_have_count(0)
    expect(page.get_by_role("button", name="Send again")).to_be_focused()


def test_a_mail_server_that_is_away_is_told_with_what_to_do(
    url: tuple[str, WarehouseSettings], mails: MailFolder, page: Page, tmp_path: Path
) -> None:
    address, settings = url
    file = tmp_path / "heliograph.toml"
    file.write_text(file.read_text().replace("port = ", "port = 1 # "))
    with scheduler("lost", settings, tmp_path):
        page.goto(address)
        ask(page)
        see(page, "Not sent again")
    see(page, "check [mail] in the settings")
    expect(page.get_by_role("button", name="Send again")).to_be_enabled(timeout=SLOW_MS)
    nothing_grave(page)
    assert mails.ids() == []
