"""Sends yesterday's report every morning, once however many schedulers run, and tries again until it went or is stale;
between them it runs the job of every minute.

A morning missed because no scheduler ran is caught up on the same day; older ones are left to `heliograph report`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from apscheduler.events import EVENT_SCHEDULER_STARTED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger

from core.clock import Clock
from core.errors import HeliographError
from reports.days import Day
from reports.delivery import Office
from reports.watch.minute import Minute

_log = structlog.get_logger(__name__)

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(minutes=30)
STALE_AFTER = timedelta(hours=24)
"""From the end of a report's day on the next one is on its way; this one is then no news any more."""


class Mornings:
    """What to send and when to look again; knows nothing of threads."""

    def __init__(self, office: Office, recipients: Sequence[str], *, clock: Clock) -> None:
        self._office = office
        self._recipients = recipients
        self._reports = office.settings.reports
        self._clock = clock

    def yesterday(self) -> Day:
        """The last day that is over."""
        return Day.of(self._clock(), self._reports.time_zone).plus(-1)

    def due(self) -> Day | None:
        """Yesterday, once the hour of its report has come today."""
        return self.yesterday() if self._clock() >= self.yesterday().plus(1).at(self._reports.hour) else None

    def attempt(self, day: Day, *, tries: int) -> datetime | None:
        """Send the report of `day` if it was not sent. Returns when to look again; None when nothing is left to do."""
        log = _log.bind(day=day.date.isoformat(), tries=tries)
        try:
            delivery = self._office.deliver(day, self._recipients)
        except HeliographError as error:
            again = self._again(day, tries)
            told = log.warning if again else log.error
            told("report not sent", reason=str(error), hint=error.hint, again_at=again and again.isoformat())
            return again
        log.info("report", result=delivery.result, at=delivery.at and delivery.at.isoformat())
        # Whoever is at it may fail or die: look again, and find it sent or send it.
        return self._clock() + FIRST_WAIT if delivery.result == "somebody else is at it" else None

    def _again(self, day: Day, tries: int) -> datetime | None:
        at = self._clock() + min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(tries - 1, 10))
        stale = day.plus(1).at(self._reports.hour) + STALE_AFTER
        return at if at < stale else None


class Timetable:
    """Puts `Mornings` on a scheduler of APScheduler: a job each morning, and one more for each further try."""

    def __init__(self, mornings: Mornings, scheduler: BlockingScheduler | BackgroundScheduler, *, hour: int) -> None:
        self._mornings = mornings
        self._scheduler = scheduler
        self._hour = hour
        self._at_work = threading.Lock()

    def fill(self, *, at_once: bool) -> None:
        """Add the daily job, and what is due already; with `at_once` yesterday's report whatever the hour."""
        self._scheduler.add_job(
            self._morning,
            CronTrigger(hour=self._hour, minute=0, timezone=self._scheduler.timezone),
            id="daily",
            coalesce=True,
            max_instances=1,
            # A machine that slept over the hour still sends it, as long as it is the same day.
            misfire_grace_time=(24 - self._hour) * 3600,
        )
        day = self._mornings.yesterday() if at_once else self._mornings.due()
        if day is not None:
            self._scheduler.add_job(self._try, args=[day, 1], id=f"report {day.date}", misfire_grace_time=None)

    def watch(self, minute: Minute) -> None:
        """Add the job of every minute. It has a thread of its own: a report may take longer than a minute."""
        self._scheduler.add_job(
            minute.run,
            CronTrigger(second=5),  # what was submitted until the minute's end has arrived
            id="minute",
            executor="minute",
            coalesce=True,
            max_instances=1,
            misfire_grace_time=30,
        )

    def _morning(self) -> None:
        self._try(self._mornings.yesterday(), 1)

    def finish(self) -> None:
        """Wait for the report under way, after the scheduler has stopped."""
        with self._at_work:
            pass

    def _try(self, day: Day, tries: int) -> None:
        with self._at_work:
            again = self._mornings.attempt(day, tries=tries)
        if again is not None:
            self._scheduler.add_job(
                self._try,
                DateTrigger(again),
                args=[day, tries + 1],
                id=f"report {day.date}",
                replace_existing=True,
                misfire_grace_time=None,
            )


def run(office: Office, recipients: Sequence[str], minute: Minute, *, clock: Clock, at_once: bool) -> None:
    """Run until SIGTERM or Ctrl-C; a report under way is finished first."""
    reports = office.settings.reports
    scheduler = BlockingScheduler(
        timezone=ZoneInfo(reports.time_zone),
        executors={"default": ThreadPoolExecutor(1), "minute": ThreadPoolExecutor(1)},  # one report at a time
    )
    timetable = Timetable(Mornings(office, recipients, clock=clock), scheduler, hour=reports.hour)
    timetable.fill(at_once=at_once)
    timetable.watch(minute)
    _stop_on_signal(scheduler)
    _log.info("scheduler runs", hour=reports.hour, time_zone=reports.time_zone, recipients=len(recipients))
    scheduler.start()
    timetable.finish()
    _log.info("scheduler stopped")


def _stop_on_signal(scheduler: BlockingScheduler) -> None:
    asked, started = threading.Event(), threading.Event()
    scheduler.add_listener(lambda _event: started.set(), EVENT_SCHEDULER_STARTED)

    def stop() -> None:
        started.wait()
        asked.wait()
        # Waiting inside would hold the lock that a job needs to add its next try.
        scheduler.shutdown(wait=False)

    # In a thread of its own: a signal interrupts whoever may hold the scheduler's locks.
    threading.Thread(target=stop, name="stop", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: asked.set())
