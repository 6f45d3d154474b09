"""The composition roots of reports: the parts of a program, from settings."""

from __future__ import annotations

from collections.abc import Sequence

from core import warehouse as door
from core.clock import utc_now
from core.errors import ConfigurationError
from core.mail import SmtpMailer
from core.settings import Settings
from reports import scheduler
from reports.delivery import Office
from reports.ledger import Ledger


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
    scheduler.run(office(settings), recipients_of(settings), clock=utc_now, at_once=at_once)
