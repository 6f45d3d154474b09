"""What is counted and timed of providers, alike for all of them, in the format Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.providers.base.submission import Answer


class ProviderTelemetry:
    """Counts and times of all providers of a process, in the registry passed in. Make one a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._submissions = Counter(
            "heliograph_provider_submissions",
            "Submissions to a provider, by how they ended.",
            ["provider", "outcome", "error_class"],
            registry=registry,
        )
        self._seconds = Histogram(
            "heliograph_provider_answer_seconds",
            "Time from submission to the provider's answer, or to giving up.",
            ["provider"],
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8),
            registry=registry,
        )
        self._waiting = Gauge(
            "heliograph_provider_waiting", "Submissions that wait for an answer.", ["provider"], registry=registry
        )
        self._rows = Counter(
            "heliograph_provider_rows",
            "Rows that providers pushed to us: receipts and inbound messages, readable or not.",
            ["provider", "kind", "result"],
            registry=registry,
        )
        self._refused = Counter(
            "heliograph_provider_bodies_refused",
            "Bodies that were refused whole, because forged or unreadable.",
            ["provider", "kind", "reason"],
            registry=registry,
        )

    @contextmanager
    def waiting(self, provider: str) -> Iterator[None]:
        """Count a submission as waiting while the block runs, however it ends."""
        gauge = self._waiting.labels(provider)
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()

    def submitted(self, provider: str, answer: Answer, seconds: float) -> None:
        """One submission ended."""
        self._submissions.labels(provider, answer.outcome, answer.error_class).inc()
        self._seconds.labels(provider).observe(seconds)

    def rows(self, provider: str, kind: str, *, good: int, bad: int) -> None:
        """One body was read."""
        self._rows.labels(provider, kind, "good").inc(good)
        self._rows.labels(provider, kind, "bad").inc(bad)

    def refused(self, provider: str, kind: str, reason: str) -> None:
        """One body was refused whole."""
        self._refused.labels(provider, kind, reason).inc()
