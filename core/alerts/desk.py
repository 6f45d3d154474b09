"""The one call of alerts, `tell`: it returns at once, and neither a disk nor a channel that fails reaches the caller."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta

import structlog

from core.alerts.alert import Alert, Severity, clean_key, cleaned
from core.alerts.courier import Courier
from core.alerts.outbox import Outbox, Passage, Told
from core.alerts.routing import Routing
from core.alerts.telemetry import AlertTelemetry
from core.clock import Clock
from core.errors import Overloaded
from core.lane import Lane

_log = structlog.get_logger(__name__)

_LOOK_AGAIN_SECONDS = 30.0
"""Other processes may leave alerts in the folder and die."""

_WAITING_MAX = 1_000

_FEW = 10
"""Of so few people twice as many is no news: at the beginning that would be so each minute."""

_RANKS: tuple[Severity, ...] = ("info", "warning", "critical")


class Alerts:
    """Takes alerts and delivers them on threads of its own, one a channel: a slow channel delays no other."""

    def __init__(
        self,
        outbox: Outbox,
        routing: Routing,
        couriers: Sequence[Courier],
        *,
        clock: Clock,
        telemetry: AlertTelemetry,
        quiet_minutes: float,
        keep_days: int,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self._outbox = outbox
        self._routing = routing
        self._couriers = tuple(couriers)
        self._clock = clock
        self._telemetry = telemetry
        self._quiet = timedelta(minutes=quiet_minutes)
        self._keep = timedelta(days=keep_days)
        self._wait = wait
        self._lane: Lane[Alert, bool] = Lane("alerts", self._take, batch_max=100, waiting_max=_WAITING_MAX)
        self._wakes = [threading.Event() for _ in self._couriers]
        self._threads: list[threading.Thread] = []
        self._closing = False

    def tell(self, alert: Alert) -> Future[bool]:
        """Hand in an alert; nothing is raised and nothing is waited for.

        The future is done when the alert is on disk (milliseconds): true when it was news, false when the same was told
        before or an update says nothing new. Whoever must not go on before waits for it.
        """
        try:
            return self._lane.put(alert)
        except Overloaded:
            self._telemetry.lost.inc()
            _log.error("an alert was lost: too many wait", title=alert.title, key=alert.key)
            refused: Future[bool] = Future()
            refused.set_result(False)
            return refused

    def start(self) -> None:
        """Begin to deliver, what earlier processes left included."""
        for courier, wake in zip(self._couriers, self._wakes, strict=True):
            thread = threading.Thread(
                target=self._run, args=[courier, wake], name=f"alerts-{courier.channel.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def deliver(self) -> datetime | None:
        """Deliver what is due, here and now; returns when something is due next. For commands and tests."""
        again = [at for courier in self._couriers if (at := courier.round()) is not None]
        return min(again, default=None)

    def kept(self) -> list[Told]:
        """Every alert that is kept, oldest first, without pictures."""
        return self._outbox.all()

    def is_news(self, alert: Alert) -> bool:
        """Whether it says anything new beside what was told under its key: what `tell` asks, without telling it."""
        return not self._says_nothing_new(cleaned(alert), self.last_of(alert.key), self._clock())

    def last_of(self, key: str) -> Told | None:
        """What was told last under a key; None when nothing of it is kept."""
        return self._outbox.last_of(clean_key(key))

    def passage(self, told: Told, channel: str) -> Passage:
        """How it stands with one of them on a channel."""
        return self._outbox.passage(told, channel)

    def try_again(self, told: Told, channel: str) -> None:
        """Let one be tried from now on, also when it was given up."""
        self._outbox.reopen(told, channel, at=self._clock())

    def close(self, *, timeout_seconds: float = 10.0) -> None:
        """Keep what was handed in and stop; what did not go stays on disk for the next process."""
        self._lane.close(timeout_seconds=timeout_seconds)
        self._closing = True
        for wake in self._wakes:
            wake.set()
        for thread in self._threads:
            thread.join(timeout_seconds)

    def _take(self, alerts: Sequence[Alert]) -> list[bool | BaseException]:
        taken: list[bool | BaseException] = []
        for alert in alerts:
            try:
                taken.append(self._take_one(cleaned(alert)))
            except Exception as error:  # noqa: BLE001  # the caller asked for nothing and shall see nothing
                self._telemetry.lost.inc()
                _log.error("an alert was lost", title=alert.title, reason=type(error).__name__)
                taken.append(False)
        if any(taken):
            for wake in self._wakes:
                wake.set()
        return taken

    def _take_one(self, alert: Alert) -> bool:
        now = self._clock()
        last = self._outbox.last_of(alert.key)
        if self._says_nothing_new(alert, last, now):
            self._telemetry.quiet.inc()
            return False
        told = self._threaded(alert, last, now)
        if not self._outbox.add(told):
            self._telemetry.quiet.inc()
            return False
        self._telemetry.told.labels(alert.event, alert.severity).inc()
        _log.info("alert", about=alert.key, what=alert.event, severity=alert.severity, title=alert.title,
                  channels=sorted(told.channels))  # fmt: skip
        self._forget(before=now - self._keep)
        return True

    def _forget(self, *, before: datetime) -> None:
        try:
            self._outbox.forget(before=before, served=[one.channel.name for one in self._couriers])
        except OSError as error:  # what was just taken is not lost by it
            _log.warning("old alerts could not be forgotten", reason=error.strerror)

    def _says_nothing_new(self, alert: Alert, last: Told | None, now: datetime) -> bool:
        if last is None:
            return False
        if alert.event == "resolved":
            return last.alert.event == "resolved"
        if alert.event in ("opened", "reopened") or last.alert.event == "resolved":
            return False
        if alert.material != last.alert.material or _is_worse(alert, last.alert):
            return False
        return now - last.told_at < self._quiet

    def _threaded(self, alert: Alert, last: Told | None, now: datetime) -> Told:
        channels = self._routing.channels_of(alert, now=now)
        is_over = last is None or (last.alert.event == "resolved" and alert.event != "reopened")
        if alert.event == "opened" or last is None or is_over:
            return Told(
                alert=alert,
                told_at=now,
                thread=alert.name,
                thread_title=alert.title,
                opened_at=alert.since or alert.at,
                channels=channels,
            )
        # Whoever heard that it began hears how it went on, also where its severity alone would not go.
        channels = dict.fromkeys(last.channels, now) | channels
        return Told(
            alert=alert,
            told_at=now,
            thread=last.thread,
            thread_title=last.thread_title,
            opened_at=last.opened_at,
            channels=channels,
        )

    def _run(self, courier: Courier, wake: threading.Event) -> None:
        while not self._closing:
            wake.clear()
            try:
                again = courier.round()
            except Exception:  # noqa: BLE001  # whatever it is, the next alert still has to go
                _log.exception("a round of alerts failed", channel=courier.channel.name)
                again = None
            seconds = _LOOK_AGAIN_SECONDS if again is None else (again - self._clock()).total_seconds()
            if not self._closing:
                self._wait(wake, min(_LOOK_AGAIN_SECONDS, max(0.1, seconds)))


def _is_worse(alert: Alert, before: Alert) -> bool:
    """More severe, or twice as many people. What only eases is no news: at a limit it would be told each minute."""
    if _RANKS.index(alert.severity) > _RANKS.index(before.severity):
        return True
    return alert.affected >= 2 * max(before.affected, _FEW)
