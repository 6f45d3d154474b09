"""Every morning, and again until it went: the rules with a clock moved by hand, the timetable and the program for real."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from structlog.testing import capture_logs

from core.clock import utc_now
from core.mail import KeptMail
from core.settings import Settings
from reports.delivery import Office
from reports.scheduler import Mornings, Timetable
from reports.spans import Day
from sandbox.children import Child, Process, launch
from sandbox.mailbox.store import MailFolder
from tests.reports.conftest import MONDAY, NEXT_MORNING, RECIPIENTS
from tests.support.mailbox import running_mailbox


def until(what: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class BrokenMail(KeptMail):
    """Breaks in a way nobody has thought of, with a secret in its message."""

    SECRET = "hunter2"
    works = False

    def send(self, message: EmailMessage, **more: Any) -> None:
        if not self.works:
            raise KeyError(self.SECRET)
        super().send(message, **more)


@pytest.fixture
def mornings(office: Office, clock) -> Mornings:
    return Mornings(office, RECIPIENTS, clock=clock)


def test_the_report_is_due_from_its_hour_to_midnight(mornings, clock):
    found = []
    for hour in (7, 8, 23):
        clock.now = datetime(2026, 3, 3, hour, tzinfo=UTC)
        found.append(mornings.due())

    assert found == [[], [MONDAY], [MONDAY]]


def test_what_was_sent_needs_no_second_look(mornings, mail):
    assert mornings.attempt(MONDAY, tries=1) is None
    assert mornings.attempt(MONDAY, tries=1) is None
    assert len(mail.sent) == 1


def test_tries_come_further_and_further_apart_until_the_mail_server_is_back(mornings, mail, clock):
    mail.available = False
    waits = []
    for tries in range(1, 9):
        again = mornings.attempt(MONDAY, tries=tries)
        waits.append((again - clock.now).total_seconds() / 60)
        clock.now = again
    mail.available = True

    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert mornings.attempt(MONDAY, tries=9) is None
    assert len(mail.sent) == 1


def test_the_warehouse_being_down_is_tried_again_too(office_without_warehouse, clock, mail):
    mornings = Mornings(office_without_warehouse, RECIPIENTS, clock=clock)

    assert mornings.attempt(MONDAY, tries=1) == NEXT_MORNING + timedelta(minutes=1)
    assert mail.sent == []


def test_a_report_is_given_up_when_the_next_one_is_due(mornings, mail, clock):
    mail.available = False
    clock.now = NEXT_MORNING + timedelta(hours=23, minutes=45)

    assert mornings.attempt(MONDAY, tries=40) is None


def test_a_fault_of_ours_is_tried_again_by_the_same_rule_and_noted_without_its_values(office, clock, mail):
    broken, noted = BrokenMail(), []
    mornings = Mornings(replace(office, mailer=broken), RECIPIENTS, clock=clock, note=noted.append)
    with capture_logs() as logs:
        again = mornings.attempt(MONDAY, tries=2)
    broken.works = True
    done = mornings.attempt(MONDAY, tries=3)

    assert (again, done, len(broken.sent)) == (NEXT_MORNING + timedelta(minutes=2), None, 1)
    assert noted[0].startswith("daily report of 2026-03-02: KeyError in reports/delivery.py, line ")
    assert noted[1:] == [""]
    assert office.ledger.entry(MONDAY, RECIPIENTS).history()[1]["what"] == "failed"
    assert BrokenMail.SECRET not in str([logs, noted, office.ledger.entry(MONDAY, RECIPIENTS).history()])


def test_a_report_in_other_hands_is_looked_at_again(mornings, office):
    with office.ledger.entry(MONDAY, RECIPIENTS).claim() as claim:
        assert claim is not None
        assert mornings.attempt(MONDAY, tries=1) == NEXT_MORNING + timedelta(minutes=1)


@pytest.fixture
def scheduler() -> Iterator[BackgroundScheduler]:
    made = BackgroundScheduler(timezone=ZoneInfo("Europe/Berlin"))
    made.start(paused=True)
    yield made
    made.shutdown()


def test_the_daily_job_comes_at_the_hour_of_the_zone_through_summer_time(mornings, scheduler):
    Timetable(mornings, scheduler, hour=8).fill(at_once=False)
    trigger = scheduler.get_job("daily").trigger
    moments, last = [], None
    for _ in range(3):
        last = trigger.get_next_fire_time(last, last or datetime(2026, 3, 28, 0, 30, tzinfo=UTC))
        moments.append(last.astimezone(UTC).hour)

    assert moments == [7, 6, 6]


def test_an_hour_that_summer_time_skips_does_not_cost_the_report_of_that_day(mornings, scheduler):
    Timetable(mornings, scheduler, hour=2).fill(at_once=False)
    trigger = scheduler.get_job("daily").trigger

    fires = trigger.get_next_fire_time(None, datetime(2026, 3, 28, 23, 30, tzinfo=UTC))

    assert Day.of(fires, "Europe/Berlin").date.isoformat() == "2026-03-29"


def test_a_scheduler_started_after_the_hour_sends_the_mornings_report(mornings, scheduler, mail, clock):
    clock.now = NEXT_MORNING + timedelta(hours=1)
    Timetable(mornings, scheduler, hour=8).fill(at_once=False)
    scheduler.resume()

    until(lambda: len(mail.sent) == 1)
    assert "Mon 2 Mar" in mail.sent[0]["Subject"]


def test_a_scheduler_started_before_the_hour_waits_unless_told_otherwise(mornings, scheduler, clock):
    clock.now = NEXT_MORNING - timedelta(hours=1)
    Timetable(mornings, scheduler, hour=8).fill(at_once=False)
    waiting = [job.id for job in scheduler.get_jobs()]
    scheduler.remove_all_jobs()
    Timetable(mornings, scheduler, hour=8).fill(at_once=True)

    assert (waiting, len(scheduler.get_jobs())) == (["daily"], 2)


def test_a_try_that_failed_puts_the_next_on_the_timetable(office, scheduler, mail):
    mail.available = False
    mornings = Mornings(office, RECIPIENTS, clock=utc_now)  # the timetable's own clock is the real one
    Timetable(mornings, scheduler, hour=8).fill(at_once=True)
    scheduler.resume()
    name = f"daily report {mornings.yesterday().date}"

    until(lambda: (job := scheduler.get_job(name)) is not None and job.args[1] == 2)
    wait = scheduler.get_job(name).next_run_time - utc_now()
    assert timedelta(seconds=30) < wait <= timedelta(minutes=1)


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[tuple[int, MailFolder]]:
    """A mail server: its port, and what it has taken."""
    with running_mailbox(tmp_path) as running:
        yield running


def start_scheduler(settings: Settings, *, smtp_port: int, folder: Path, name: str) -> Child:
    found = settings.warehouse
    env = {
        "HELIOGRAPH_WAREHOUSE_PORT": str(found.port),
        "HELIOGRAPH_WAREHOUSE_USERNAME": found.username,
        "HELIOGRAPH_WAREHOUSE_PASSWORD": found.password.get_secret_value(),
        "HELIOGRAPH_WAREHOUSE_DATABASE": found.database,
        "HELIOGRAPH_MAIL_PORT": str(smtp_port),
        "HELIOGRAPH_MAIL_RECIPIENTS": ",".join(RECIPIENTS),
        "HELIOGRAPH_REPORTS_FOLDER": str(folder / "shared"),
        "HELIOGRAPH_ALERTS_FOLDER": str(folder / "alerts"),
        "HELIOGRAPH_REPORTS_WEEKLY": "false",  # else a Monday has two reports
        "HELIOGRAPH_REPORTS_MONTHLY": "false",
    }
    argv = [sys.executable, "-c", "from core.cli import main; main(['scheduler', '--now'])"]
    return launch(Process(name=name, argv=argv, is_ready=lambda _: True, env=env, stop_within_seconds=60), folder)


def test_two_schedulers_put_one_mail_into_a_real_mailbox_and_stop_when_asked(settings, mailbox, tmp_path):
    smtp_port, mails = mailbox
    running = [start_scheduler(settings, smtp_port=smtp_port, folder=tmp_path, name=name) for name in ("one", "two")]
    try:
        until(lambda: all("report" in child.log_tail() and "result" in child.log_tail() for child in running))
        stopped = [child.stop() for child in running]
    finally:
        for child in running:
            child.kill()

    assert stopped == [True, True]
    assert [child.exit_status for child in running] == [0, 0]
    (subject,) = [one.subject for one in mails.list(limit=10)]
    assert subject.endswith("no message was submitted")
