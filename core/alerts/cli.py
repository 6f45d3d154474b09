"""`heliograph alerts`: what was told, what became of it on each channel, trying again, trying a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.alerts.outbox import Told

STATES = ("waiting", "delivered", "superseded", "given up")


@click.group()
def alerts() -> None:
    """See what was alerted and how it went, try again, try a channel.

    Reads the folder that [alerts] names. An alert that waits is delivered by any running program that tells alerts; a
    channel that fails is tried again for [alerts] give_up_hours.
    """


@alerts.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many, the newest first.")
@click.option("--state", type=click.Choice(STATES), help="Only those with a channel in this state.")
def list_alerts(limit: int, state: str | None) -> None:
    """List alerts with their channels, the newest first.

    \b
      heliograph alerts list
      heliograph alerts list --state "given up"      what did not reach somebody
    """
    from core import settings
    from core.alerts.outbox import Outbox

    outbox = Outbox(settings.load().alerts.folder)
    rows = [(told, {name: outbox.passage(told, name) for name in told.channels}) for told in reversed(outbox.all())]
    if state:
        rows = [row for row in rows if any(passage.state == state for passage in row[1].values())]
    for told, passages in rows[:limit]:
        click.echo(f"{told.name[:8]}  {told.told_at:%Y-%m-%d %H:%M:%S}Z  {told.alert.severity:8}  {told.alert.event:8}  {told.alert.title}")  # fmt: skip
        for name, passage in passages.items():
            colour = {"waiting": "yellow", "given up": "red"}.get(passage.state)
            why = f": {passage.reason}" if passage.reason else ""
            click.secho(f"          {name}: {passage.state} after {passage.tries} tries{why}", fg=colour)
        if not passages:
            click.echo("          no channel: nobody was told; see [[alert_routes]] and [mail] recipients")
    if not rows:
        click.echo("No alert is kept." if not state else f"No alert is {state}.")
    elif len(rows) > limit:
        click.echo(f"And {len(rows) - limit} more; --limit shows them.")


@alerts.command()
@click.argument("alert")
def show(alert: str) -> None:
    """Show one alert in full. ALERT is the beginning of its id, as `list` shows it."""
    from core import settings
    from core.alerts.outbox import Outbox
    from core.alerts.rendering import Rendering

    loaded = settings.load()
    outbox = Outbox(loaded.alerts.folder)
    told = _find(outbox.all(), alert)
    click.echo(Rendering(loaded.alerts.time_zone).text(told))
    for name in told.channels:
        passage = outbox.passage(told, name)
        click.echo(
            f"{name}: {passage.state}, {passage.tries} tries, last {passage.at:%Y-%m-%d %H:%M:%S}Z {passage.reason}"
        )


@alerts.command()
@click.argument("alert", required=False)
@click.option("--channel", help="Only this channel.")
def retry(alert: str | None, channel: str | None) -> None:
    """Try now what waits or was given up: one ALERT, or all of them.

    What was delivered is not sent again.
    """
    from core import settings
    from core.alerts.main import open_alerts

    desk = open_alerts(settings.load())
    kept = desk.kept()
    chosen = [_find(kept, alert)] if alert else kept
    open_ones = [
        (told, name)
        for told in chosen
        for name in told.channels
        if channel in (None, name) and desk.passage(told, name).state in ("waiting", "given up")
    ]
    for told, name in open_ones:
        desk.try_again(told, name)
    desk.deliver()
    desk.close()
    failed = [(told, name) for told, name in open_ones if desk.passage(told, name).state == "waiting"]
    for told, name in failed:
        click.secho(f"{told.name[:8]}  {name}: {desk.passage(told, name).reason or 'not yet'}", fg="red", err=True)
    click.echo(f"{len(open_ones) - len(failed)} of {len(open_ones)} delivered.")
    raise SystemExit(1 if failed else 0)


@alerts.command()
@click.argument("channel")
def test(channel: str) -> None:
    """Send a test alert over CHANNEL, past all routes, and say how it went.

    \b
      heliograph alerts test mail
      heliograph alerts test oncall
    """
    from core import settings
    from core.alerts.main import open_channels, trial_alert
    from core.clock import utc_now
    from core.errors import BadInput
    from core.mail import SmtpMailer

    loaded = settings.load()
    channels = open_channels(loaded, mailer=SmtpMailer(loaded.mail))
    if channel not in channels:
        there = ", ".join(channels) or "none; set [mail] recipients or add [[alert_channels]]"
        raise BadInput(f"there is no channel called {channel!r}", hint=f"there are: {there}")
    channels[channel].send(trial_alert(channel, now=utc_now()))
    click.echo(f"The channel {channel} took the test alert.")


def _find(kept: Sequence[Told], beginning: str) -> Told:
    from core.errors import BadInput

    found = [told for told in kept if told.name.startswith(beginning)]
    if len(found) != 1:
        raise BadInput(
            f"{'no alert' if not found else f'{len(found)} alerts'} with an id that begins with {beginning!r}",
            hint="`heliograph alerts list` shows them",
        )
    return found[0]
