"""What alerts tell about themselves, in the format Prometheus reads."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class AlertTelemetry:
    """Counters of one process, in the registry passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.told = Counter(
            "heliograph_alerts_told", "Alerts taken, by event and severity.", ["event", "severity"], registry=registry
        )
        self.quiet = Counter(
            "heliograph_alerts_quiet", "Alerts told before, or without anything new.", registry=registry
        )
        self.lost = Counter("heliograph_alerts_lost", "Alerts that could not be taken.", registry=registry)
        self.delivered = Counter(
            "heliograph_alerts_delivered", "Alerts that a channel took.", ["channel"], registry=registry
        )
        self.failed = Counter(
            "heliograph_alerts_failed", "Tries of a channel that failed.", ["channel"], registry=registry
        )
        self.waiting = Gauge(
            "heliograph_alerts_waiting", "Alerts that a channel does not have yet.", ["channel"], registry=registry
        )
