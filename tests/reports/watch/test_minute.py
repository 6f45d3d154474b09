"""Every minute once, by one scheduler; a warehouse that is down costs the minute and not the job."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from core import warehouse as door
from core.errors import WarehouseRefused
from core.files import held
from core.queue import StreamState
from metrics import runs
from metrics.detection.job import LOCK
from metrics.detection.records import keep
from reports.watch.incidents import Teller
from reports.watch.lead import Lead
from reports.watch.minute import Minute
from reports.watch.relay import Relay
from reports.watch.silence import SilenceWatch
from sandbox.ports import free_port
from tests.reports.watch.conftest import minutes_of, notice

SECRET = "hunter2"


class Detector:
    """Counts its calls, and finds one incident at the first."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, warehouse, now) -> None:
        self.calls += 1
        keep(warehouse, [notice().incident], [notice()])


@pytest.fixture
def detector() -> Detector:
    return Detector()


@pytest.fixture
def minute(warehouse_settings, warehouse, alerts, detector, clock, tmp_path) -> Minute:
    folder = tmp_path / "alerts"
    return Minute(
        open_warehouse=lambda: door.connect(warehouse_settings),
        detect=detector,
        relay=Relay(alerts, Teller("UTC"), folder / "told-until"),
        silence=SilenceWatch(alerts, queue_state=lambda: StreamState(0, 0, 0), silence_minutes=10),
        folder=folder,
        lead=Lead(folder / LOCK),
        clock=clock,
    )


def test_what_is_found_in_a_minute_is_told_in_it(minute, alerts, kept):
    minute.run()
    alerts.deliver()

    assert [told.alert.key for told in kept.taken] == ["incident d3adbeef"]


def beside(minute: Minute, detect) -> Minute:
    """Another scheduler with the same folder."""
    return replace(minute, lead=Lead(minute.folder / LOCK), detect=detect)


def test_the_scheduler_that_came_first_does_every_minute_until_it_stops(minute, detector, clock):
    second = Detector()
    other = beside(minute, second)

    def a_minute_later() -> tuple[int, int]:
        for one in (other, minute, other):  # whoever comes first in this minute
            one.run()
        clock.advance(seconds=60)
        return detector.calls, second.calls

    minute.run()
    clock.advance(seconds=60)
    led = [a_minute_later(), a_minute_later()]
    minute.close()
    other.run()

    assert led == [(2, 0), (3, 0)]
    assert (detector.calls, second.calls) == (3, 1)


def test_who_leads_by_a_file_that_is_gone_leads_no_more(minute, detector, clock):
    minute.run()
    (minute.folder / LOCK).unlink()
    second = Detector()
    other = beside(minute, second)
    for one in (other, minute):
        clock.advance(seconds=60)
        one.run()

    assert (detector.calls, second.calls) == (1, 1)


def test_while_another_is_at_it_nothing_is_done(minute, detector):
    with held(minute.folder / LOCK):
        minute.run()

    assert detector.calls == 0


def test_a_warehouse_that_is_down_is_noticed_and_told(minute, warehouse_settings, clock, alerts, kept, detector):
    nobody = warehouse_settings.model_copy(update={"port": free_port()})
    broken = replace(minute, open_warehouse=lambda: door.connect(nobody))
    for _ in range(12):
        broken.run()
        clock.advance(seconds=60)
    alerts.deliver()

    assert detector.calls == 0
    assert [told.alert.title for told in kept.taken] == ["The warehouse does not answer"]


def test_a_warehouse_that_refuses_the_password_is_noticed_and_told_and_then_over(
    minute, warehouse_settings, clock, alerts, kept, detector
):
    wrong = warehouse_settings.model_copy(update={"password": SecretStr(SECRET)})
    refused = replace(minute, open_warehouse=lambda: door.connect(wrong))
    for _ in range(12):
        refused.run()
        clock.advance(seconds=60)
    alerts.deliver()
    calls = detector.calls
    minute.run()
    alerts.deliver()
    told = [one.alert for one in kept.taken if one.alert.key == "data"]

    assert calls == 0
    assert [one.event for one in told] == ["opened", "resolved"]
    assert told[0].title == "The warehouse refuses the scheduler"
    assert " refused: " in told[0].text
    assert SECRET not in told[0].text


def test_a_warehouse_that_lets_in_and_refuses_to_be_read_is_told_too(minute, warehouse_settings, clock, alerts, kept):
    class Forbidding:
        def __init__(self):
            self._warehouse = door.connect(warehouse_settings)

        def query_rows(self, *_):
            raise WarehouseRefused("ClickHouse at 127.0.0.1:8123 refused: Not enough privileges", code=497)

        query_df = query_rows

        def __getattr__(self, name):
            return getattr(self._warehouse, name)

    forbidden = replace(minute, open_warehouse=Forbidding)
    for _ in range(12):
        forbidden.run()
        clock.advance(seconds=60)
    alerts.deliver()

    assert [told.alert.title for told in kept.taken] == ["The warehouse refuses the scheduler"]


def test_a_part_that_breaks_costs_itself_and_is_told_without_its_values(minute, alerts, kept, warehouse, clock):
    class Broken(SilenceWatch):
        def look(self, warehouse, *, now):
            raise RuntimeError(SECRET)

    silence = Broken(alerts, queue_state=lambda: StreamState(0, 0, 0), silence_minutes=10)
    with capture_logs() as logs:
        replace(minute, silence=silence).run()
    alerts.deliver()
    failed = runs.latest(warehouse)["minute"]
    clock.advance(seconds=60)
    minute.run()

    assert [told.alert.key for told in kept.taken] == ["incident d3adbeef"]
    assert failed.failure.startswith("whether data comes: RuntimeError")
    assert SECRET not in f"{failed} {logs}"
    assert runs.latest(warehouse)["minute"] == runs.Run(clock.now)


def test_an_incident_that_cannot_be_told_costs_no_other_its_alert_and_is_told_once_it_can(
    minute, warehouse, alerts, kept, clock
):
    class Stumbling(Teller):
        stumbles = True

        def alert(self, notification, frame, *, is_known, deployed):
            if self.stumbles and notification.incident.id == "bad":
                raise ValueError(SECRET)
            return super().alert(notification, frame, is_known=is_known, deployed=deployed)

    found = [notice(id="bad"), notice(id="good"), notice("updated", 4, id="bad")]
    teller = Stumbling("UTC")
    relay = replace(minute.relay, teller=teller)
    minute = replace(minute, relay=relay, detect=lambda warehouse, _: keep(warehouse, [], found))

    def heard():
        minute.run()
        alerts.deliver()
        clock.advance(seconds=60)
        return [(told.alert.event, told.alert.key) for told in kept.taken]

    first, failure = heard(), runs.latest(warehouse)["minute"].failure
    clock.advance(seconds=300)  # beyond what is read again anyway
    Stumbling.stumbles = False
    second, third = heard(), heard()

    assert first == [("opened", "incident good")]
    assert failure.startswith("telling: incident bad: ValueError")
    assert second[:2] == [("opened", "incident good"), ("opened", "incident bad")]
    assert third == second


def test_a_picture_that_cannot_be_drawn_does_not_cost_the_alert():
    frame = minutes_of().drop(columns="high")
    with capture_logs() as logs:
        alert = Teller("UTC").alert(notice(), frame, is_known=False)

    assert alert.pictures == ()
    assert logs[0]["reason"].startswith("KeyError in reports/watch/evidence.py")


def test_a_folder_that_cannot_be_used_is_said_and_not_raised(minute, tmp_path, detector):
    (tmp_path / "a file").write_text("")
    replace(minute, folder=tmp_path / "a file" / "alerts").run()

    assert detector.calls == 0
