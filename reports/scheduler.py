"""Sends the reports of every morning, each once however many schedulers run, and tries again until it went or is stale;
between them it runs the job of every minute.

A morning missed because no scheduler ran is caught up on the same day; older ones are left to `heliograph report`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
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
from core.redact import described
from metrics.upkeep import Upkeep
from reports.again import Resender
from reports.delivery import Office
from reports.spans import Day, Month, Span, Week
from reports.watch.minute import Minute

_log = structlog.get_logger(__name__)

SETTLING_HOUR = 3
"""Of the scheduler's time zone, when few people send or ask."""
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(minutes=30)


WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Mornings:
    """What to send and when to look again; knows nothing of threads."""

    def __init__(
        self, office: Office, recipients: Sequence[str], *, clock: Clock, note: Callable[[str], None] = lambda _: None
    ) -> None:
        self._office = office
        self._recipients = recipients
        self._reports = office.settings.reports
        self._clock = clock
        self._note = note

    def yesterday(self) -> Day:
        """The last day that is over."""
        return Day.of(self._clock(), self._reports.time_zone).plus(-1)

    def of_today(self) -> list[Span]:
        """The reports that belong to this morning."""
        reports, yesterday = self._reports, self.yesterday()
        today = yesterday.plus(1)
        wanted: list[tuple[bool, Span]] = [
            (reports.daily, yesterday),
            (reports.weekly and WEEKDAYS[today.date.weekday()] == reports.weekly_on, Week.of(today).previous),
            (reports.monthly and today.date.day == reports.monthly_on, Month.of(today).previous),
        ]
        return [span for is_wanted, span in wanted if is_wanted]

    def due(self) -> list[Span]:
        """The reports of this morning, once its hour has come."""
        today = self.yesterday().plus(1)
        return self.of_today() if self._clock() >= today.at(self._reports.hour) else []

    def attempt(self, span: Span, *, tries: int) -> datetime | None:
        """Send the report of `span` if it was not sent. Returns when to look again; None when nothing is left to do.

        Raises nothing: what breaks one try must not cost the next.
        """
        log = _log.bind(kind=span.kind, begins=span.date.isoformat(), tries=tries)
        try:
            delivery = self._office.deliver(span, self._recipients)
        except Exception as error:  # noqa: BLE001  # a fault of ours is tried again as one of a server is
            again = self._again(tries)
            told = log.warning if again and isinstance(error, HeliographError) else log.error
            hint = getattr(error, "hint", "")
            told("report not sent", reason=described(error), hint=hint, again_at=again and again.isoformat())
            self._note(f"{span.kind} report of {span.date}: {described(error)}")
            return again
        self._note("")
        log.info("report", result=delivery.result, at=delivery.at and delivery.at.isoformat())
        # Whoever is at it may fail or die: look again, and find it sent or send it.
        return self._clock() + FIRST_WAIT if delivery.result == "somebody else is at it" else None

    def _again(self, tries: int) -> datetime | None:
        at = self._clock() + min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(tries - 1, 10))
        return at if at < self._stale_at() else None

    def _stale_at(self) -> datetime:
        """The next morning: then the next report is on its way, and this one is no news any more."""
        today = self.yesterday().plus(1)
        this_morning = today.at(self._reports.hour)
        return this_morning if self._clock() < this_morning else today.plus(1).at(self._reports.hour)


class Timetable:
    """Puts `Mornings` on a scheduler of APScheduler: a job each morning, and one more for each further try."""

    def __init__(self, mornings: Mornings, scheduler: BlockingScheduler | BackgroundScheduler, *, hour: int) -> None:
        self._mornings = mornings
        self._scheduler = scheduler
        self._hour = hour
        self._at_work = threading.Lock()
        self._sending_again = threading.Lock()

    def fill(self, *, at_once: bool) -> None:
        """Add the job of each morning, and what is due already; with `at_once` this morning's reports whatever the hour."""
        self._scheduler.add_job(
            self._morning,
            CronTrigger(hour=self._hour, minute=0, timezone=self._scheduler.timezone),
            id="daily",
            coalesce=True,
            max_instances=1,
            # A machine that slept over the hour still sends it, as long as it is the same day.
            misfire_grace_time=(24 - self._hour) * 3600,
        )
        due = self._mornings.of_today() if at_once else self._mornings.due()
        for span in due:
            self._add(span)

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

    def keep_up(self, upkeep: Upkeep) -> None:
        """Add the upkeep of the warehouse, in a thread of its own: a night's work must not hold up a minute's."""
        common = {"executor": "upkeep", "coalesce": True, "max_instances": 1, "misfire_grace_time": 30}
        self._scheduler.add_job(upkeep.each_minute, CronTrigger(second=35), id="rollup", **common)
        self._scheduler.add_job(upkeep.each_night, CronTrigger(hour=SETTLING_HOUR, minute=20), id="settling", **common)

    def send_again(self, resender: Resender) -> None:
        """Add the look for reports that operators want sent again, in a thread of its own: they wait for the answer."""
        self._scheduler.add_job(
            self._again,
            CronTrigger(second="*/10"),
            args=[resender],
            id="again",
            executor="again",
            coalesce=True,
            max_instances=1,
            misfire_grace_time=30,
        )

    def _again(self, resender: Resender) -> None:
        with self._sending_again:
            resender.run()

    def _morning(self) -> None:
        for span in self._mornings.of_today():
            self._add(span)

    def _add(self, span: Span) -> None:
        self._scheduler.add_job(
            self._try, args=[span, 1], id=_job_of(span), replace_existing=True, misfire_grace_time=None
        )

    def finish(self) -> None:
        """Wait for the reports under way, after the scheduler has stopped."""
        with self._at_work, self._sending_again:
            pass

    def _try(self, span: Span, tries: int) -> None:
        with self._at_work:
            again = self._mornings.attempt(span, tries=tries)
        if again is not None:
            self._scheduler.add_job(
                self._try,
                DateTrigger(again),
                args=[span, tries + 1],
                id=_job_of(span),
                replace_existing=True,
                misfire_grace_time=None,
            )


def _job_of(span: Span) -> str:
    return f"{span.kind} report {span.date}"


def run(
    office: Office,
    recipients: Sequence[str],
    *,
    resender: Resender,
    minute: Minute,
    upkeep: Upkeep,
    clock: Clock,
    note: Callable[[str], None],
    at_once: bool,
) -> None:
    """Run until SIGTERM or Ctrl-C; a report under way is finished first."""
    reports = office.settings.reports
    scheduler = BlockingScheduler(
        timezone=ZoneInfo(reports.time_zone),
        # One morning's report at a time.
        executors={name: ThreadPoolExecutor(1) for name in ("default", "minute", "upkeep", "again")},
    )
    timetable = Timetable(Mornings(office, recipients, clock=clock, note=note), scheduler, hour=reports.hour)
    timetable.fill(at_once=at_once)
    timetable.watch(minute)
    timetable.keep_up(upkeep)
    timetable.send_again(resender)
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
