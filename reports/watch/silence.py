"""Notices that the data itself stopped: no new attempt for a while in which some were to be expected, and says where to look.

A night in which nobody sends is no silence: what is to be expected is the traffic of the same minutes on the days before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.alerts import Alert, Alerts
from core.errors import QueueUnavailable, WarehouseRefused, WarehouseUnavailable
from core.queue import StreamState
from core.redact import described
from core.warehouse import Warehouse
from metrics.detection.words import words_at
from metrics.query import Question, ask, freshness

KEY = "data"
EXPECTED_MIN = 10.0
"""So many attempts are to be expected in the silence before it means anything: by chance none comes once in 22,000 times."""

_DAYS = 7


@dataclass(frozen=True)
class Finding:
    """Why nothing can be judged. `since` is when the last attempt was seen, or the warehouse."""

    component: str
    title: str
    text: str
    steps: tuple[str, ...]
    since: datetime


class SilenceWatch:
    """Looks once a minute. `queue_state` asks the queue what the ingester has not taken."""

    def __init__(self, alerts: Alerts, *, queue_state: Callable[[], StreamState], silence_minutes: float) -> None:
        self._alerts = alerts
        self._queue_state = queue_state
        self._after = timedelta(minutes=silence_minutes)
        self._unanswered_since: datetime | None = None

    def look(self, warehouse: Warehouse, *, now: datetime) -> None:
        """Open an alert about the data, or resolve it. Raises `WarehouseUnavailable` and `WarehouseRefused`: then tell `unanswered`."""
        newest = freshness(warehouse, until=now)  # a date to come, of a wrong clock or a file, is no news
        self._unanswered_since = None
        if newest is not None and now - newest >= self._after:
            expected = _expected(warehouse, newest=newest, now=now)
            if expected >= EXPECTED_MIN:
                if not _is_quieted(warehouse, now):
                    self._open(self._silence(newest, expected, now), now)
                return
            if self._waits_for_data():
                return  # less is expected only because the days before it have more minutes by now
        self._resolve(newest, now)

    def _waits_for_data(self) -> bool:
        last = self._alerts.last_of(KEY)
        return last is not None and last.alert.event != "resolved" and last.alert.labels["component"] != "warehouse"

    def unanswered(self, error: WarehouseUnavailable | WarehouseRefused, *, now: datetime) -> None:
        """The warehouse did not answer, or refuses whoever asks; after a while of that it is an alert."""
        self._unanswered_since = since = self._unanswered_since or now
        if now - since >= self._after:
            self._open(_of_warehouse(error, since), now)

    def _silence(self, newest: datetime, expected: float, now: datetime) -> Finding:
        minutes = round((now - newest).total_seconds() / 60)
        seen = (
            f"The newest attempt in the warehouse is {minutes} minutes old; in the same minutes of the days before there were "
            f"{expected:.0f}. Channels are not watched until data comes again."
        )
        try:
            state = self._queue_state()
        except QueueUnavailable as error:
            steps = ("Look whether NATS runs, and at its disk.", "Check [queue] url in the settings.")
            text = f"{seen} {error}. Nothing is lost: the service keeps events in its journal."
            return Finding("queue", "No data: the queue does not answer", text, steps, newest)
        if state.pending:
            steps = (
                "Look whether `heliograph ingester` runs, and at its log.",
                "`heliograph ingester` starts it; it catches up.",
            )
            text = f"{seen} {state.pending:,} batches of events wait in the queue. Nothing is lost: they stay there."
            return Finding("ingester", "No data: the ingester takes nothing", text, steps, newest)
        steps = (
            "Look whether the service runs and is called: `/readyz`, its log, and the senders.",
            "`heliograph journal show` tells whether events wait on the service's disk.",
        )
        text = f"{seen} The queue answers and is empty: either nobody sends, or the service does not hand events on."
        return Finding("service", "No data: no events arrive", text, steps, newest)

    def _open(self, found: Finding, now: datetime) -> None:
        last = self._alerts.last_of(KEY)
        is_open = last is not None and last.alert.event != "resolved"
        self._alerts.tell(
            Alert(
                key=KEY,
                event="updated" if is_open else "opened",
                kind="data_stopped",
                severity="critical",
                title=found.title,
                text=found.text,
                at=now,
                steps=found.steps,
                labels={"component": found.component},
                since=found.since,
                # While it lasts it is one thing: two schedulers tell the same.
                version=f"{found.since.isoformat()} {found.component}" if not is_open else now.isoformat(),
            )
        ).result()

    def _resolve(self, newest: datetime | None, now: datetime) -> None:
        last = self._alerts.last_of(KEY)
        if last is None or last.alert.event == "resolved":
            return
        fresh = f"The newest attempt is of {newest:%H:%M} UTC. " if newest else ""
        text = f"{fresh}Events flow into the warehouse again; what waited is being caught up."
        self._alerts.tell(
            Alert(
                key=KEY,
                event="resolved",
                kind="data_stopped",
                severity="info",
                title="Data flows again",
                text=text,
                at=now,
                labels=last.alert.labels,
                version=last.name,
            )
        ).result()


def _of_warehouse(error: WarehouseUnavailable | WarehouseRefused, since: datetime) -> Finding:
    if isinstance(error, WarehouseRefused):
        title = "The warehouse refuses the scheduler"
        meanwhile = (
            "Channels are not watched until the scheduler is let in; whoever comes as the same user is refused, too."
        )
        steps = (
            "Look whether the password or the rights of its user were changed in ClickHouse.",
            "Set [warehouse] username and password in the settings to what holds there, and start the programs anew.",
        )
    else:
        title = "The warehouse does not answer"
        meanwhile = "Channels are not watched and the dashboard is empty until it answers."
        steps = ("Look whether ClickHouse runs, and at its disk and memory.", "Check [warehouse] in the settings.")
    text = f"{described(error).rstrip('.')}. {meanwhile} Nothing is lost: events wait in the queue."
    return Finding("warehouse", title, text, steps, since)


def _expected(warehouse: Warehouse, *, newest: datetime, now: datetime) -> float:
    """Attempts submitted in the same minutes of the days before, the mean of the days that have any."""
    counts = [
        n
        for back in range(1, _DAYS + 1)
        if (n := _submitted(warehouse, newest - timedelta(days=back), now - timedelta(days=back), now=now))
    ]
    return sum(counts) / len(counts) if counts else 0.0


def _submitted(warehouse: Warehouse, start: datetime, end: datetime, *, now: datetime) -> int:
    frame = ask(warehouse, Question(("third_party_success_rate",), start, end), now=now)
    return int(frame["third_party_success_rate_n"].iloc[0])


def _is_quieted(warehouse: Warehouse, now: datetime) -> bool:
    return any(word.quiets(incident_id="", scope={}, at=now) for word in words_at(warehouse, now))
