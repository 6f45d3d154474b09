"""The composition root of alerts: everything `tell` needs, from settings."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry

from core.alerts.alert import Alert
from core.alerts.channels import AppriseChannel, Channel, MailChannel
from core.alerts.courier import Courier
from core.alerts.desk import Alerts
from core.alerts.outbox import Outbox, Told
from core.alerts.rendering import Rendering
from core.alerts.routing import MAIL, Routing
from core.alerts.telemetry import AlertTelemetry
from core.clock import Clock, utc_now
from core.errors import ConfigurationError
from core.mail import Mailer, SmtpMailer
from core.settings import Settings
from core.settings.watching import AlertChannel


def open_alerts(
    settings: Settings,
    *,
    registry: CollectorRegistry | None = None,
    clock: Clock = utc_now,
    mailer: Mailer | None = None,
) -> Alerts:
    """Alerts over the channels of the settings; `start` begins to deliver. Raises `ConfigurationError`."""
    channels = open_channels(settings, mailer=mailer or SmtpMailer(settings.mail))
    return assemble(settings, list(channels.values()), registry=registry, clock=clock)


def open_channels(settings: Settings, *, mailer: Mailer) -> dict[str, Channel]:
    """Every channel by its name; connects to none. Raises `ConfigurationError`."""
    rendering = Rendering(settings.alerts.time_zone)
    channels: dict[str, Channel] = {}
    if settings.mail.recipients:
        channels[MAIL] = MailChannel(
            MAIL, mailer, rendering, sender=settings.mail.sender, recipients=settings.mail.recipients
        )
    for row in settings.alert_channels:
        if row.name in channels:
            raise ConfigurationError(f"alert_channels: two channels are called {row.name!r}")
        channels[row.name] = _channel(row, settings, mailer, rendering)
    return channels


def assemble(
    settings: Settings, channels: list[Channel], *, registry: CollectorRegistry | None = None, clock: Clock = utc_now
) -> Alerts:
    """Alerts over these channels. Raises `ConfigurationError` for a route to another one."""
    found = settings.alerts
    telemetry = AlertTelemetry(registry or CollectorRegistry())
    outbox = Outbox(found.folder)
    return Alerts(
        outbox,
        Routing(settings.alert_routes, [one.name for one in channels], time_zone=found.time_zone),
        [
            Courier(channel, outbox, clock=clock, telemetry=telemetry, give_up_hours=found.give_up_hours)
            for channel in channels
        ],
        clock=clock,
        telemetry=telemetry,
        quiet_minutes=found.quiet_minutes,
        keep_days=found.keep_days,
    )


def trial_alert(channel: str, *, now: datetime) -> Told:
    """What `heliograph alerts test` sends."""
    alert = Alert(
        key=f"test {channel}",
        event="opened",
        kind="test",
        severity="info",
        title=f"Test of the channel {channel}",
        text="Somebody asked for this with `heliograph alerts test`. Alerts that go over this channel look like it.",
        steps=("Nothing is wrong: there is nothing to do.",),
        at=now,
    )
    return Told(
        alert=alert,
        told_at=now,
        thread=alert.name,
        thread_title=alert.title,
        opened_at=now,
        channels={channel: now},
    )


def _channel(row: AlertChannel, settings: Settings, mailer: Mailer, rendering: Rendering) -> Channel:
    if row.recipients:
        return MailChannel(row.name, mailer, rendering, sender=settings.mail.sender, recipients=row.recipients)
    return AppriseChannel(row.name, row.url.get_secret_value(), rendering)
