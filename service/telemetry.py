"""What the service tells about itself, in the format Prometheus reads. Made once a process; no label holds user input."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Telemetry:
    """Counters and gauges of one process, in the registry passed in."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.calls = Counter(
            "heliograph_http_requests",
            "Answered API calls, by route, method and status.",
            ["route", "method", "status"],
            registry=registry,
        )
        self.call_seconds = Histogram(
            "heliograph_http_request_seconds",
            "Time from a call to its answer.",
            ["route"],
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8),
            registry=registry,
        )
        self.in_hand = Gauge("heliograph_http_requests_in_hand", "API calls not yet answered.", registry=registry)
        self.shed = Counter(
            "heliograph_http_requests_shed", "Calls refused because too many waited.", registry=registry
        )
        self.sends = Counter(
            "heliograph_sends", "Sends, by why and how they ended.", ["category", "cause", "outcome"], registry=registry
        )
        self.limited = Counter("heliograph_sends_limited", "Sends refused by a limit.", ["reason"], registry=registry)
        self.checks = Counter("heliograph_checks", "Checks of codes, by result.", ["result"], registry=registry)
        self.replayed = Counter(
            "heliograph_idempotent_replays", "Answers given again for an Idempotency-Key.", registry=registry
        )
        self._tell_of_journals(registry)
        self.queue_up = Gauge("heliograph_queue_up", "1 while the queue confirms what is published.", registry=registry)
        self.outcomes_unkept = Counter(
            "heliograph_outcomes_unkept",
            "Outcomes of attempts that no store took; the attempt itself is kept.",
            registry=registry,
        )
        self.unreadable_rows = Counter(
            "heliograph_store_rows_unreadable",
            "Rows of the primary store that could not be read when events were told again.",
            registry=registry,
        )
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def _tell_of_journals(self, registry: CollectorRegistry) -> None:
        self.told = Counter(
            "heliograph_events_told", "Events made durable in the journal.", ["kind"], registry=registry
        )
        self.published = Counter(
            "heliograph_events_published", "Events that the queue has.", ["kind"], registry=registry
        )
        self.lost = Counter(
            "heliograph_events_lost", "Events that neither the journal nor the queue took.", ["kind"], registry=registry
        )
        self.backlog_bytes = Gauge(
            "heliograph_events_backlog_bytes", "Journal of events that the queue does not have yet.", registry=registry
        )
        self.store_backlog_bytes = Gauge(
            "heliograph_store_backlog_bytes",
            "Journal of writes that the primary store does not have yet.",
            registry=registry,
        )
        self.files_set_aside = Counter(
            "heliograph_events_files_set_aside",
            "Files of the journal of events that were damaged: what could be read of them is published.",
            registry=registry,
        )
        self.files_left = Gauge(
            "heliograph_events_files_left",
            "Files of the journal of events that cannot be published for now; they are tried again.",
            registry=registry,
        )

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """An API call was answered."""
        found = self._answered.get((route, method, status))
        if (
            found is None
        ):  # routes, methods and statuses are few, and looking them up by label takes longer than counting
            found = self.calls.labels(route, method, str(status)), self.call_seconds.labels(route)
            self._answered[route, method, status] = found
        calls, call_seconds = found
        calls.inc()
        call_seconds.observe(seconds)
