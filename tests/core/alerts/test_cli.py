"""`heliograph alerts`: what an operator sees of what was told, and how a channel is tried."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from core.alerts.cli import alerts
from core.alerts.main import open_alerts
from core.errors import BadInput, ChannelUnavailable
from core.settings import load
from tests.core.alerts.conftest import an_alert


@pytest.fixture
def config(tmp_path, webhook):
    file = tmp_path / "heliograph.toml"
    file.write_text(
        f'[alerts]\nfolder = "{tmp_path / "alerts"}"\n[[alert_channels]]\nname = "hook"\nurl = "{webhook.url}"\n'
    )
    return file


@pytest.fixture
def run(config):
    def invoke(*arguments: str) -> Result:
        return CliRunner(env={"HELIOGRAPH_CONFIG": str(config)}).invoke(alerts, arguments)

    return invoke


@pytest.fixture
def failed(config, webhook):
    """An alert that the webhook refused."""
    webhook.status = 500
    desk = open_alerts(load({}, config))
    desk.tell(an_alert()).result(10)
    desk.deliver()
    desk.close()
    (told,) = desk.kept()
    return told.name


def test_with_nothing_told_it_says_so(run):
    assert run("list").output == "No alert is kept.\n"


def test_a_failure_is_listed_with_its_reason(run, failed):
    output = run("list").output

    assert "critical  opened    The primary store is down" in output
    assert "hook: waiting after 1 tries: the channel hook did not take it" in output
    assert "No alert is given up." in run("list", "--state", "given up").output


def test_one_alert_is_shown_in_full(run, failed):
    assert "Codes are sent and checked on the backup." in run("show", failed[:6]).output
    assert isinstance(run("show", "zz").exception, BadInput)


def test_retry_sends_what_waits_and_fails_aloud(run, failed, webhook):
    still = run("retry")
    webhook.status = 200
    then, after = run("retry"), run("retry")

    assert (still.exit_code, then.exit_code) == (1, 0)
    assert "0 of 1 delivered" in still.output
    assert ("1 of 1 delivered" in then.output, "0 of 0 delivered" in after.output) == (True, True)
    assert len(webhook.bodies) == 1


def test_a_channel_is_tried_by_name(run, webhook):
    well = run("test", "hook")
    webhook.status = 500
    ill, unknown = run("test", "hook"), run("test", "hok")

    assert well.output == "The channel hook took the test alert.\n"
    assert webhook.bodies[0]["title"] == "Opened: Test of the channel hook"
    assert isinstance(ill.exception, ChannelUnavailable)
    assert isinstance(unknown.exception, BadInput)
    assert "hook" in unknown.exception.hint
