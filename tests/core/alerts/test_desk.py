"""An alert is told once, in order, whatever fails; an update without news stays quiet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from core.alerts import Picture
from core.alerts.channels import KeptChannel
from core.alerts.main import assemble
from core.clock import utc_now
from core.settings import Settings
from core.settings.watching import AlertRoute
from core.settings.watching import Alerts as AlertSettings
from tests.core.alerts.conftest import NOW, an_alert

REPOSITORY = Path(__file__).resolve().parents[3]


def events(channel: KeptChannel) -> list[str]:
    return [told.alert.event for told in channel.taken]


def test_what_is_told_is_delivered(desk, kept):
    assert desk.tell(an_alert(pictures=(Picture(name="chart", alt="a chart", png=b"png"),))).result(10)
    desk.deliver()

    (told,) = kept.taken
    assert (told.alert.title, told.alert.pictures[0].png) == ("The primary store is down", b"png")


def test_the_same_is_told_once_by_two_processes_too(open_desk, kept):
    first, second = open_desk(kept), open_desk(kept)

    assert [one.tell(an_alert(version="7")).result(10) for one in (first, second, first)] == [True, False, False]
    first.deliver()
    second.deliver()

    assert len(kept.taken) == 1


def test_another_version_is_another_alert(desk, kept):
    for version in ("1", "2"):
        desk.tell(an_alert(version=version)).result(10)
    desk.deliver()

    assert len(kept.taken) == 2


def test_an_update_without_news_is_quiet_for_an_hour(desk, kept, clock):
    desk.tell(an_alert()).result(10)
    told = []
    for minutes in (1, 30, 61, 62):
        clock.now = NOW + timedelta(minutes=minutes)
        told.append(desk.tell(an_alert("updated", at=clock.now)).result(10))

    assert told == [False, False, True, False]


def test_an_update_with_news_is_told_at_once(desk, clock):
    desk.tell(an_alert(material="one carrier")).result(10)
    clock.advance(seconds=60)

    assert desk.tell(an_alert("updated", at=clock.now, material="two carriers")).result(10)


def test_what_is_worse_is_told_at_once_and_what_eases_is_not(desk, clock):
    def update(severity, affected):
        clock.advance(seconds=60)
        return desk.tell(an_alert("updated", at=clock.now, severity=severity, affected=affected)).result(10)

    desk.tell(an_alert(severity="warning", affected=1)).result(10)

    told = [update("warning", 19), update("warning", 20), update("critical", 39), update("warning", 39)]
    assert told == [False, True, True, False]


def test_whether_it_is_news_can_be_asked_without_telling_it(desk, kept, clock):
    update = an_alert("updated", at=NOW + timedelta(minutes=1))
    before = desk.is_news(update)
    desk.tell(an_alert()).result(10)

    assert (before, desk.is_news(update), len(desk.kept())) == (True, False, 1)


def test_what_was_told_is_found_again_under_a_key_that_is_masked(desk):
    desk.tell(an_alert(key="incident 123456789012")).result(10)

    assert desk.last_of("incident 123456789012") is not None
    assert desk.last_of("incident 123456789013") is None


def test_it_is_over_once(desk, clock):
    desk.tell(an_alert()).result(10)
    clock.advance(seconds=60)
    first = desk.tell(an_alert("resolved", at=clock.now)).result(10)
    clock.advance(seconds=60)

    assert (first, desk.tell(an_alert("resolved", at=clock.now)).result(10)) == (True, False)


def test_what_follows_belongs_to_the_thread_and_a_new_opening_begins_another(desk, kept, clock):
    for event in ("opened", "updated", "resolved", "opened"):
        clock.advance(seconds=4000)
        desk.tell(an_alert(event, at=clock.now, title=event)).result(10)
        desk.deliver()

    threads = [told.thread for told in kept.taken]
    assert (events(kept), threads[0] == threads[1] == threads[2]) == (["opened", "updated", "resolved", "opened"], True)
    assert threads[3] != threads[0]
    assert kept.taken[2].thread_title == "opened"


def test_a_channel_that_fails_is_tried_ever_more_rarely_and_then_given_up(open_desk, kept, clock):
    desk = open_desk(kept, give_up_hours=1)
    kept.available = False
    desk.tell(an_alert()).result(10)
    waits = []
    while (again := desk.deliver()) is not None:
        waits.append((again - clock.now).total_seconds())
        clock.now = again

    assert waits[:9] == [5, 10, 20, 40, 80, 160, 320, 600, 600]
    assert clock.now - NOW <= timedelta(hours=1)


def test_what_waited_arrives_in_order_without_the_updates_in_between(desk, kept, clock):
    kept.available = False
    for minutes, event in enumerate(("opened", "updated", "updated", "resolved")):
        clock.advance(seconds=60)
        desk.tell(an_alert(event, at=clock.now, title=f"{event} {minutes}")).result(10)
        desk.deliver()
    kept.available = True
    clock.advance(seconds=600)
    desk.deliver()

    assert events(kept) == ["opened", "resolved"]


def test_nothing_overtakes_what_came_before_it_in_its_thread(desk, kept, clock):
    kept.available = False
    desk.tell(an_alert()).result(10)
    desk.deliver()
    kept.available = True
    desk.tell(an_alert("resolved", at=NOW + timedelta(seconds=1))).result(10)
    desk.deliver()  # the opening is not due yet
    early = events(kept)
    clock.advance(seconds=5)
    desk.deliver()

    assert (early, events(kept)) == ([], ["opened", "resolved"])


def test_a_channel_that_fails_keeps_no_other_from_its_alerts(open_desk):
    well, ill = KeptChannel("well"), KeptChannel("ill")
    ill.available = False
    desk = open_desk(ill, well)
    desk.tell(an_alert()).result(10)
    desk.deliver()

    assert (events(well), events(ill)) == (["opened"], [])


def test_a_disk_that_refuses_does_not_cost_the_alert(tmp_path, clock, kept):
    (tmp_path / "a file").write_text("")
    settings = Settings(alerts=AlertSettings(folder=tmp_path / "a file" / "alerts"))
    desk = assemble(settings, [kept], clock=clock)
    told = [desk.tell(an_alert()).result(10), desk.tell(an_alert()).result(10)]
    desk.deliver()
    desk.deliver()
    desk.close()

    assert (told, events(kept)) == ([True, False], ["opened"])


TELLER = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from core.alerts import Alert
from core.alerts.channels import KeptChannel
from core.alerts.main import assemble
from core.settings import Settings
from core.settings.watching import Alerts

desk = assemble(Settings(alerts=Alerts(folder=Path(sys.argv[1]))), [KeptChannel()])
desk.tell(Alert(key="k", event="opened", kind="x", severity="info", title="told before the end", text="t",
                at=datetime(2026, 3, 2, tzinfo=UTC))).result(10)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_alert_survives_the_process_that_told_it(desk, kept, clock, tmp_path):
    clock.now = utc_now() + timedelta(hours=1)  # that process has the clock on the wall
    ended = subprocess.run([sys.executable, "-c", TELLER, str(tmp_path / "alerts")], cwd=REPOSITORY, check=False)
    desk.deliver()

    assert ended.returncode == -signal.SIGKILL
    assert [told.alert.title for told in kept.taken] == ["told before the end"]


def test_threads_deliver_what_is_told_without_being_asked(open_desk):
    arrived = threading.Event()

    class Ringing(KeptChannel):
        def send(self, told, **more):
            super().send(told, **more)
            arrived.set()

    desk = open_desk(Ringing())
    desk.start()
    desk.tell(an_alert())

    assert arrived.wait(30)


def test_a_caller_gets_no_error_when_too_late(desk):
    desk.close()

    assert desk.tell(an_alert()).result(10) is False


def test_no_number_and_no_code_is_kept(desk, kept, tmp_path):
    number = "+" + "1555" + "0123456"
    desk.tell(an_alert(key=f"n {number}", title=f"to {number}", text=f"code {123456}", labels={"x": number})).result(10)
    desk.deliver()
    on_disk = "".join(path.read_text() for path in (tmp_path / "alerts").rglob("*.json"))

    assert number not in on_disk
    assert "123456" not in on_disk
    assert kept.taken[0].alert.title == "to [masked]"


def test_alerts_that_went_are_forgotten_after_their_time(open_desk, kept, clock, tmp_path):
    desk = open_desk(kept, keep_days=1)
    desk.tell(an_alert()).result(10)
    desk.deliver()
    clock.advance(seconds=2 * 86_400)
    desk.tell(an_alert(key="another")).result(10)

    assert len(list((tmp_path / "alerts" / "told").iterdir())) == 1
    assert not [name for name in os.listdir(tmp_path / "alerts" / "told") if name.endswith(".new")]


def test_an_alert_for_a_channel_that_was_removed_is_forgotten_after_its_time_and_said(open_desk, kept, clock, tmp_path):
    gone = KeptChannel("gone")
    gone.available = False
    both = open_desk(kept, gone, keep_days=1, routes=[AlertRoute(channels=["kept", "gone"])])
    both.tell(an_alert()).result(10)
    both.deliver()
    desk = open_desk(kept, keep_days=1)  # started anew, without it
    clock.advance(seconds=2 * 86_400)
    with capture_logs() as logs:
        desk.tell(an_alert(key="another")).result(10)

    assert [told.alert.key for told in desk.kept()] == ["another"]
    assert len(list((tmp_path / "alerts" / "channels" / "gone").glob("*.json"))) == 0
    assert [line["channel"] for line in logs if "nobody serves" in line["event"]] == ["gone"]


def test_an_alert_that_a_channel_is_still_waiting_for_is_kept(open_desk, kept, clock):
    desk = open_desk(kept, keep_days=1)
    kept.available = False
    desk.tell(an_alert()).result(10)
    desk.deliver()
    clock.advance(seconds=2 * 86_400)
    desk.tell(an_alert(key="another")).result(10)

    assert len(desk.kept()) == 2


def test_telemetry_counts_what_was_told_and_what_failed(tmp_path, clock, kept):
    registry = CollectorRegistry()
    desk = assemble(Settings(alerts=AlertSettings(folder=tmp_path)), [kept], registry=registry, clock=clock)
    kept.available = False
    desk.tell(an_alert()).result(10)
    desk.deliver()
    desk.close()

    found = {
        name: registry.get_sample_value(f"heliograph_alerts_{name}", {"channel": "kept"})
        for name in ("failed_total", "waiting")
    }
    assert found == {"failed_total": 1, "waiting": 1}
