"""`heliograph report` makes one report; `heliograph scheduler` sends them in the morning and watches every minute."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

if TYPE_CHECKING:
    from reports.spans import Kind


@click.command()
@click.option(
    "--day", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="Day to report; yesterday by default."
)
@click.option(
    "--to",
    "recipients",
    metavar="ADDRESS",
    multiple=True,
    help="Send it here instead of to [mail] recipients; repeatable.",
)
@click.option("--week", "kind", flag_value="weekly", help="The week in which the day lies; last week by default.")
@click.option("--month", "kind", flag_value="monthly", help="The month in which the day lies; last month by default.")
@click.option("--again", is_flag=True, help="Send it even if it was sent to these recipients before.")
@click.option("--print", "to_print", is_flag=True, help="Show the text on the terminal; nothing is sent.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE.html",
    help="Write the HTML with its picture to a file for a browser; nothing is sent.",
)
def report(
    day: datetime | None, recipients: tuple[str, ...], kind: str | None, again: bool, to_print: bool, out: Path | None
) -> None:
    """Make the quality report of a day, a week or a month and send it by mail.

    The day is one of [reports] time_zone, and has to be over; so have a week (Monday to Sunday) and a month. A report goes to the same recipients once: what the
    scheduler sent this morning is not sent again, unless you say --again. Sent mails, and what became of each, lie in
    the folder that [reports] names.

    \b
      heliograph report                                  yesterday, to [mail] recipients
      heliograph report --day 2026-11-23 --to me@example.org
      heliograph report --week                           last week, to [mail] recipients
      heliograph report --month --day 2026-10-01 --print
      heliograph report --print                          look at it first
      heliograph report --day 2026-11-23 --out report.html
    """
    from core import log, settings
    from core.clock import utc_now
    from reports.main import office, recipients_of
    from reports.spans import Day, last_over, span_of

    log.configure("report", level="warning")
    loaded = settings.load()
    zone = loaded.reports.time_zone
    which = cast("Kind", kind or "daily")
    chosen = span_of(which, Day(day.date(), zone)) if day else last_over(which, utc_now(), zone)
    works = office(loaded)
    if to_print or out:
        _, rendered = works.make(chosen)
        if out:
            out.write_text(rendered.page(), encoding="utf-8")
            click.echo(f"{out} written: {rendered.subject}", err=True)
        if to_print:
            click.echo(f"Subject: {rendered.subject}\n\n{rendered.text}")
        return
    named = recipients_of(loaded, recipients)
    delivery = works.deliver(chosen, named, again=again)
    if delivery.result == "sent":
        click.echo(f"The report of {chosen.title} is on its way to {', '.join(named)}.")
    elif delivery.result == "sent before":
        when = delivery.at.strftime("%Y-%m-%d %H:%M %Z") if delivery.at else "before"
        click.echo(f"Not sent: {', '.join(named)} got the report of {chosen.title} {when}. --again sends it once more.")
    else:
        click.echo(f"Not sent: another process is sending the report of {chosen.title} just now.")


@click.command()
@click.option(
    "--now",
    "at_once",
    is_flag=True,
    help="Send this morning's reports at once, whatever the hour, if they were not sent.",
)
def scheduler(at_once: bool) -> None:
    """Watch every minute and alert; send quality reports in the morning; until stopped.

    Every minute it has channels judged, tells incidents as alerts, and notices when data stops. At [reports] hour it sends
    yesterday's report, on [reports] weekly_on that of the last week, on monthly_on that of the last month. Run one or
    several with the same [reports] and [alerts] folders: each report and each alert is sent once. Started after the hour, it still sends
    this morning's. What operators ask for on the dashboard's Reports page is sent again within seconds. While the warehouse or the mail server is down it tries again, after one minute at first and every
    half hour at last. Stop it with Ctrl-C or SIGTERM.
    """
    from core import log, settings
    from reports.main import run_scheduler

    log.configure("scheduler")
    run_scheduler(settings.load(), at_once=at_once)
