"""Alerts: told once, kept on disk until every channel has them, delivered in the background; the caller never waits."""

from core.alerts.alert import Alert, Event, Picture, Severity
from core.alerts.desk import Alerts
from core.alerts.main import open_alerts

__all__ = ["Alert", "Alerts", "Event", "Picture", "Severity", "open_alerts"]
