"""The composition roots of reports: the parts of a program, from settings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core import warehouse as door
from core.alerts import Alerts, open_alerts
from core.clock import utc_now
from core.errors import ConfigurationError
from core.mail import SmtpMailer
from core.queue import EVENTS, INGEST_CONSUMER, StreamState
from core.queue.jetstream import JetStreamQueue
from core.settings import Settings
from core.warehouse import Warehouse
from metrics import runs
from metrics.detection.job import LOCK, Job
from metrics.upkeep import UPKEEP_SECONDS_MAX, Upkeep
from reports import scheduler
from reports.again import Resender
from reports.delivery import Office
from reports.ledger import Ledger
from reports.watch.incidents import Teller
from reports.watch.lead import Lead
from reports.watch.minute import Minute
from reports.watch.relay import Relay
from reports.watch.silence import SilenceWatch


def office(settings: Settings) -> Office:
    """Everything a report is made with; opens nothing yet."""
    return Office(
        settings=settings,
        ledger=Ledger(settings.reports.folder, clock=utc_now),
        mailer=SmtpMailer(settings.mail),
        open_warehouse=lambda: door.connect(settings.warehouse, readonly=True),
        clock=utc_now,
    )


def recipients_of(settings: Settings, named: Sequence[str] = ()) -> tuple[str, ...]:
    """Those `named`, else those of the settings. Raises `ConfigurationError` when there are none."""
    found = tuple(dict.fromkeys(named or settings.mail.recipients))
    if not found:
        raise ConfigurationError(
            "nobody is named to send the report to", hint="set recipients in [mail], or name them with --to"
        )
    return found


def run_scheduler(settings: Settings, *, at_once: bool) -> None:
    """Run the scheduler until it is told to stop. Raises `ConfigurationError`."""
    recipients = recipients_of(settings)
    alerts = open_alerts(settings)
    alerts.start()
    made, every_minute = office(settings), minute(settings, alerts)

    def to_write() -> Warehouse:
        return door.connect(settings.warehouse)

    try:
        scheduler.run(
            made,
            recipients,
            resender=Resender(made, recipients, open_warehouse=to_write),
            minute=every_minute,
            upkeep=upkeep(settings),
            clock=utc_now,
            note=lambda failure: runs.note_apart(to_write, "report", at=utc_now(), failure=failure),
            at_once=at_once,
        )
    finally:
        every_minute.close()
        alerts.close()


def upkeep(settings: Settings) -> Upkeep:
    """The jobs that keep the warehouse fast; opens nothing yet."""
    patient = settings.warehouse.model_copy(update={"query_timeout_seconds": UPKEEP_SECONDS_MAX})
    return Upkeep(
        open_warehouse=lambda: door.connect(patient), clock=utc_now, on_time_seconds=settings.metrics.on_time_seconds
    )


def minute(settings: Settings, alerts: Alerts) -> Minute:
    """The job of every minute; opens nothing yet."""
    folder = settings.alerts.folder
    teller = Teller(settings.alerts.time_zone, settings.reports.dashboard_url)
    return Minute(
        open_warehouse=lambda: door.connect(settings.warehouse),
        detect=Job(settings.detection).minute,
        relay=Relay(alerts, teller, folder / "told-until"),
        silence=SilenceWatch(
            alerts,
            queue_state=lambda: asyncio.run(_state_of_events(settings)),
            silence_minutes=settings.alerts.silence_minutes,
        ),
        folder=folder,
        lead=Lead(folder / LOCK),
        clock=utc_now,
    )


async def _state_of_events(settings: Settings) -> StreamState:
    queue = JetStreamQueue(settings.queue, name="heliograph-scheduler")
    try:
        return await queue.state(EVENTS, INGEST_CONSUMER)
    finally:
        await queue.close()
