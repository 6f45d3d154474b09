"""`heliograph report` by hand: look at it, send it, be told why not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.clock import utc_now
from core.errors import BadInput, ConfigurationError, MailUnavailable
from core.settings import Settings
from reports.cli import report, scheduler
from sandbox.ports import free_port


@pytest.fixture
def run(settings: Settings, tmp_path: Path):
    """Runs the command with the settings of the test, in a mail server's absence."""
    found = settings.warehouse
    env = {
        "HELIOGRAPH_WAREHOUSE_PORT": str(found.port),
        "HELIOGRAPH_WAREHOUSE_USERNAME": found.username,
        "HELIOGRAPH_WAREHOUSE_PASSWORD": found.password.get_secret_value(),
        "HELIOGRAPH_WAREHOUSE_DATABASE": found.database,
        "HELIOGRAPH_MAIL_PORT": str(free_port()),
        "HELIOGRAPH_MAIL_RECIPIENTS": "",
        "HELIOGRAPH_REPORTS_FOLDER": str(tmp_path / "reports"),
    }

    def invoke(*arguments: str, command=report) -> Result:
        return CliRunner(env=env).invoke(command, arguments)

    return invoke


def test_a_report_can_be_read_on_the_terminal(run):
    result = run("--day", "2026-03-02", "--print")

    assert result.exit_code == 0, result.output
    assert "Subject: SMS quality, Mon 2 Mar: no message was submitted" in result.stdout


def test_a_report_can_be_written_for_a_browser_and_is_not_sent(run, tmp_path):
    result = run("--day", "2026-03-02", "--out", str(tmp_path / "report.html"))

    assert result.exit_code == 0, result.output
    assert "<h1" in (tmp_path / "report.html").read_text()
    assert not (tmp_path / "reports").exists()


def test_without_a_day_it_is_yesterday(run):
    yesterday = (utc_now() - timedelta(days=1)).strftime("%A")

    assert yesterday.upper() in run("--print").stdout


def test_a_day_that_is_not_over_is_refused(run):
    result = run("--day", f"{utc_now() + timedelta(days=1):%Y-%m-%d}", "--print")

    assert isinstance(result.exception, BadInput)


def test_nobody_to_send_it_to_is_said_before_anything_is_done(run):
    for command in (report, scheduler):
        result = run(command=command)

        assert isinstance(result.exception, ConfigurationError)
        assert "recipients" in result.exception.hint


def test_a_mail_server_that_is_down_is_said_with_its_address(run):
    result = run("--day", "2026-03-02", "--to", "ops@example.org")

    assert isinstance(result.exception, MailUnavailable)
    assert "127.0.0.1:" in str(result.exception)


def test_a_word_that_is_no_day_is_refused_with_the_form_of_one(run):
    result = run("--day", "yesterday")

    assert result.exit_code == 2
    assert "%Y-%m-%d" in result.output
