"""Where alerts go: the first route that fits, nights that are quiet, and settings that cannot work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from core.alerts.main import open_channels
from core.alerts.routing import Routing
from core.errors import ConfigurationError
from core.mail import KeptMail
from core.settings import Settings, load
from core.settings.servers import Mail
from core.settings.watching import AlertChannel, AlertRoute
from tests.core.alerts.conftest import NOW, an_alert


def test_without_routes_everything_goes_to_mail():
    assert Routing([], ["chat", "mail"], time_zone="UTC").channels_of(an_alert(), now=NOW) == {"mail": NOW}


def test_without_mail_it_goes_to_every_channel():
    assert set(Routing([], ["chat", "pager"], time_zone="UTC").channels_of(an_alert(), now=NOW)) == {"chat", "pager"}


def test_the_first_route_that_fits_decides():
    routes = [
        AlertRoute(kinds=["store_*"], severities=["critical"], channels=["pager", "mail"]),
        AlertRoute(labels={"country": ["CN", "HK"]}, channels=["chat"]),
        AlertRoute(kinds=["report"], channels=[]),
    ]
    routing = Routing(routes, ["mail", "pager", "chat"], time_zone="UTC")

    def goes_to(**more) -> list[str]:
        return sorted(routing.channels_of(an_alert(**more), now=NOW))

    assert goes_to(labels={"country": "CN"}) == ["mail", "pager"]
    assert goes_to(severity="warning", labels={"country": "HK"}) == ["chat"]
    assert goes_to(severity="warning", labels={"country": "DE"}) == ["mail"]
    assert goes_to(kind="report") == []


@pytest.mark.parametrize(
    ("hour", "waits_until"),
    [(21, None), (22, (3, 6)), (3, (2, 6)), (6, None)],
)
def test_in_quiet_hours_all_but_critical_alerts_wait_for_the_morning(hour, waits_until):
    routing = Routing([AlertRoute(channels=["mail"], quiet_hours="23:00-07:00")], ["mail"], time_zone="Europe/Berlin")
    now = datetime(2026, 3, 2, hour, 30, tzinfo=UTC)
    expected = datetime(2026, 3, *waits_until, tzinfo=UTC) if waits_until else now

    assert routing.channels_of(an_alert(severity="warning"), now=now) == {"mail": expected}
    assert routing.channels_of(an_alert(severity="critical"), now=now) == {"mail": now}


def test_what_turns_critical_in_quiet_hours_does_not_wait_for_the_warning_before_it(open_desk, kept, clock):
    routes = [AlertRoute(channels=[kept.name], quiet_hours="14:00-15:00")]
    desk = open_desk(kept, routes=routes)
    desk.tell(an_alert(severity="warning", title="Delivery falls")).result(10)
    morning = desk.deliver()
    clock.advance(seconds=60)
    desk.tell(an_alert("updated", title="Delivery has stopped", at=clock.now)).result(10)
    desk.deliver()

    assert morning == datetime(2026, 3, 2, 15, tzinfo=UTC)
    assert [told.alert.title for told in kept.taken] == ["Delivery falls", "Delivery has stopped"]


def test_what_is_over_in_quiet_hours_wakes_nobody(open_desk, kept, clock):
    desk = open_desk(kept, routes=[AlertRoute(channels=[kept.name], severities=["warning"], quiet_hours="14:00-15:00")])
    desk.tell(an_alert(severity="warning")).result(10)
    clock.advance(seconds=60)
    desk.tell(an_alert("resolved", severity="info", at=clock.now)).result(10)

    assert desk.deliver() == datetime(2026, 3, 2, 15, tzinfo=UTC)
    assert kept.taken == []


def test_what_follows_a_failed_alert_is_not_due_before_it(open_desk, kept, clock):
    desk = open_desk(kept)
    kept.available = False
    desk.tell(an_alert()).result(10)
    desk.deliver()
    clock.advance(seconds=1)
    desk.tell(an_alert("resolved", at=clock.now)).result(10)

    assert desk.deliver() == NOW + timedelta(seconds=5)


def test_whoever_heard_that_it_began_hears_that_it_is_over(open_desk, clock):
    from core.alerts.channels import KeptChannel  # noqa: PLC0415

    pager, mail = KeptChannel("pager"), KeptChannel("mail")
    desk = open_desk(pager, mail, routes=[AlertRoute(severities=["critical"], channels=["pager"])])
    desk.tell(an_alert()).result(10)
    clock.now = NOW + timedelta(minutes=5)
    desk.tell(an_alert("resolved", severity="info", at=clock.now)).result(10)
    desk.deliver()

    assert [told.alert.event for told in pager.taken] == ["opened", "resolved"]


def test_a_route_to_a_channel_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(ConfigurationError, match="row 1: there is no channel called 'pagr'") as refused:
        Routing([AlertRoute(channels=["pagr"])], ["pager"], time_zone="UTC")

    assert "pager" in refused.value.hint


@pytest.mark.parametrize("url", ["slakc://a/b/c", "no address", "json://"])
def test_an_address_that_apprise_does_not_know_is_refused_and_not_repeated(url):
    settings = Settings(alert_channels=[AlertChannel(name="chat", url=url)])
    with pytest.raises(ConfigurationError, match="'chat'") as refused:
        open_channels(settings, mailer=KeptMail())

    assert url not in str(refused.value)


@pytest.mark.parametrize(
    "row",
    [{}, {"url": "json://localhost", "recipients": ["a@example.org"]}, {"name": "mail", "url": "json://localhost"}],
)
def test_a_channel_is_one_way_and_is_not_called_mail(row):
    with pytest.raises(ValidationError):
        AlertChannel(**{"name": "chat", **row})


def test_two_channels_of_one_name_are_refused():
    rows = [AlertChannel(name="chat", url="json://localhost")] * 2
    with pytest.raises(ConfigurationError, match="two channels"):
        open_channels(Settings(alert_channels=rows), mailer=KeptMail())


@pytest.mark.parametrize(
    "url",
    [
        "dingtalk://token1234",
        "feishu://token1234",
        "wecombot://key1234",
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
        "workflows://host/workflow/signature",
        "pagerduty://integration@apikey",
        "jsons://example.org/hook",
    ],
)
def test_the_services_that_the_settings_name_exist(url):
    found = open_channels(Settings(alert_channels=[AlertChannel(name="chat", url=url)]), mailer=KeptMail())

    assert list(found) == ["chat"]


def test_channels_and_routes_come_from_the_settings_file(tmp_path):
    file = tmp_path / "heliograph.toml"
    file.write_text(
        '[mail]\nrecipients = ["ops@example.org"]\n'
        '[[alert_channels]]\nname = "night"\nrecipients = ["night@example.org"]\n'
        '[[alert_routes]]\nkinds = ["store_*"]\nlabels = { country = ["CN"] }\nchannels = ["night", "mail"]\n'
    )
    settings = load({}, file)

    assert set(open_channels(settings, mailer=KeptMail())) == {"mail", "night"}
    assert isinstance(settings.mail, Mail)
    assert settings.alert_routes[0].labels == {"country": ["CN"]}


def test_a_wrong_row_is_named_by_its_place(tmp_path):
    file = tmp_path / "heliograph.toml"
    file.write_text('[[alert_routes]]\nseverities = ["bad"]\nquiet_hours = "22-7"\n')
    with pytest.raises(ConfigurationError, match=r"alert_routes\.0\.severities") as refused:
        load({}, file)

    assert "alert_routes.0.quiet_hours" in str(refused.value)
