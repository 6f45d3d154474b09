"""What the photographed dashboard shows: the demo's past, what detection says of its last day, and what the programs would
have told of themselves. It goes on while pictures are taken, and the scheduler's jobs with it, so that no page is stale.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from core import warehouse as door
from core.alerts import Alerts
from core.alerts.main import open_alerts
from core.clock import Clock, ManualClock, utc_now
from core.events import AnyEvent, Availability, StatusChange, decode, encode_lines
from core.mail import KeptMail
from core.settings import Settings
from core.warehouse import Warehouse
from ingest.files import ingest_file
from ingest.sink import Sink, Unreadable
from metrics import runs
from metrics.detection.deployments import deployment
from metrics.detection.job import Job
from metrics.detection.records import evidence, notifications_since
from metrics.detection.words import say as say_word
from reports import main as programs
from reports.scheduler import Mornings
from reports.watch.incidents import Teller
from sandbox.history import write_history
from sandbox.world import World, named_fault

AHEAD = timedelta(hours=2)
"""So much of the future is made up, too, and told when its time has come."""

_JUDGED = timedelta(hours=26)
_STEP = timedelta(hours=5)  # the detector begins anew after a longer pause
_BROKEN = "receipts-stop"  # of one provider everywhere: large enough to be found at any hour
_BROKEN_SINCE = timedelta(minutes=48)
_DEPLOYED_SINCE = timedelta(minutes=62)
_INSTANCE = "9f2c4be1a07d" + "0" * 20
_SEED = 5

Say = Callable[[str], None]


class Past:
    """The events of one folder, told to a warehouse as far as the clock has come."""

    def __init__(self, folder: Path, warehouse: Warehouse, settings: Settings) -> None:
        self.warehouse = warehouse
        self._tail = folder / "tail.jsonl"
        self._settings = settings
        self._sink = Sink(warehouse, clock=utc_now)
        self._desk = self._alerts(utc_now)
        self._job = Job(settings.detection)
        # One detector judges the past and goes on: what it counted of an incident that lasts is all in its memory.
        self._minute = replace(programs.minute(settings, self._desk), detect=self._job.minute)

    def close(self) -> None:
        self._minute.close()
        self._desk.close()
        self.warehouse.close()

    def load(self, *, days: int, per_day: int, say: Say) -> None:
        """Make it up until now, and judge its last day, once a folder."""
        if self._tail.exists():
            return
        now = utc_now()
        say(f"{days} days with {per_day:,} verifications a day are made up and loaded")
        self._load(now, days, per_day)
        say("what the programs tell of themselves, and a deployment, are written")
        self._operations(now)
        say("the detector judges the last day")
        for back in range(int(_JUDGED / _STEP), -1, -1):
            self._job.minute(self.warehouse, now - back * _STEP)
        say("alerts are told and two reports are sent, to nobody; hours are rolled up and days merged")
        self._tell_alerts(now)
        self._send_reports(now)
        upkeep = programs.upkeep(self._settings)
        upkeep.each_minute()
        upkeep.each_night()

    def go_on(self) -> None:
        """Tell what has come since the last time, and do the scheduler's work of each new minute."""
        now = utc_now().timestamp()
        waiting = [decode(line) for line in self._tail.read_bytes().splitlines()]
        due = [event for event in waiting if event.at.timestamp() <= now]
        if due:
            self._sink.store("shots", due, [])
            self._tail.write_bytes(encode_lines(event for event in waiting if event.at.timestamp() > now))
        self._minute.run()
        self._desk.deliver()

    def _load(self, now: datetime, days: int, per_day: int) -> None:
        files = self._tail.parent / "history"
        world = World(seed=_SEED, faults=(named_fault(_BROKEN, start=now - _BROKEN_SINCE),))
        paths = write_history(
            files, world=world, end=now + AHEAD, days=days, verifications_per_day=per_day,
            progress=lambda done, total: None,
        )  # fmt: skip
        later: list[AnyEvent] = []
        for path in paths:
            if path.stem[-10:] < f"{now:%Y-%m-%d}":
                ingest_file(path, self._sink)
                continue
            events = [decode(line) for line in path.read_bytes().splitlines()]
            self._sink.store(path.name, [event for event in events if event.at <= now], [])
            later += [event for event in events if event.at > now]
        shutil.rmtree(files)
        self._tail.write_bytes(encode_lines(sorted(later, key=lambda event: event.at)))

    def _operations(self, now: datetime) -> None:
        """Availability of a month, a store that was down for a while, and two letters that nobody could read."""
        rng = np.random.default_rng(_SEED)
        until = now.replace(second=0, microsecond=0)
        calls = rng.poisson(45, size=30 * 1440)
        failed = rng.binomial(calls, 0.000_02)
        failed[1180:1184] = (2, 5, 3, 1)
        minutes = [
            Availability(
                at=until - timedelta(minutes=back), instance=_INSTANCE, calls=int(calls[back]),
                failed=int(failed[back]), shed=0, events_backlog_bytes=int(2_000 * calls[back]),
                store_backlog_bytes=(1184 - back + 1) * 420_000 if 1184 - 15 < back <= 1184 else 0,
            )
            for back in range(1, len(calls))
        ]  # fmt: skip
        down = until - timedelta(minutes=1184)
        changes = [
            StatusChange(at=down + timedelta(minutes=after), instance=_INSTANCE, component="store", old=old, new=new, reason=why)
            for after, old, new, why in (
                (0, "healthy", "mysql_fatal", "the primary store refused the connection (2003)"),
                (14, "mysql_fatal", "recovering", "an operator asked for recovery"),
                (15, "recovering", "healthy", "312 journaled writes were replayed"),
            )
        ]  # fmt: skip
        letters = [
            Unreadable(f"{place}", "Object missing required field `request_id`", b'{"type":"receipt","attempt":1}')
            for place in (40_112, 40_113)
        ]
        self._sink.store("EVENTS", [*minutes, *changes], letters)
        at = now - _DEPLOYED_SINCE
        note = deployment("checkout 4.2", at=at, scope={"app": ("shop",)}, said_by="pipeline 8123", now=now)
        say_word(self.warehouse, note, now=at)

    def _alerts(self, clock: Clock) -> Alerts:
        """To a mail server that keeps them to itself."""
        return open_alerts(self._settings, clock=clock, mailer=KeptMail())

    def _tell_alerts(self, now: datetime) -> None:
        clock = ManualClock(now)
        desk, teller = self._alerts(clock), Teller("UTC", self._settings.reports.dashboard_url)
        known: set[str] = set()
        for one in notifications_since(self.warehouse, now - _JUDGED):
            clock.now = one.at
            frame = evidence(self.warehouse, one.incident.id)
            desk.tell(teller.alert(one, frame, is_known=one.incident.id in known)).result()
            known.add(one.incident.id)
            desk.deliver()
        desk.close()

    def _send_reports(self, now: datetime) -> None:
        """That of the day before yesterday, and this morning's as the scheduler sends it."""
        office = replace(programs.office(self._settings), mailer=KeptMail())
        recipients = self._settings.mail.recipients
        mornings = Mornings(office, recipients, clock=lambda: now, note=self._note_report)
        yesterday = mornings.yesterday()
        office.deliver(yesterday.plus(-1), recipients)
        mornings.attempt(yesterday, tries=1)

    def _note_report(self, failure: str) -> None:
        runs.note(self.warehouse, "report", at=utc_now(), failure=failure)


def open_past(folder: Path, settings: Settings) -> Past:
    """The past that is to be told to the warehouse, which is migrated."""
    warehouse = door.connect(settings.warehouse)
    warehouse.migrate()
    return Past(folder, warehouse, settings)
