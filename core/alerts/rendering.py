"""How an alert reads: one state line, then the same facts as mail, as text and as a chat message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from functools import lru_cache
from zoneinfo import ZoneInfo

from jinja2 import Environment
from markupsafe import Markup, escape

from core.alerts.outbox import Told
from core.mail import Inline, Letter, compose, templates

_CODE = re.compile(r"`([^`]+)`")
_MARKS = {"opened": "●", "updated": "●", "reopened": "●", "resolved": "✓"}


@dataclass(frozen=True)
class Rendering:
    """Alerts in the words of a time zone."""

    time_zone: str

    def title(self, told: Told) -> str:
        """One line that stands for itself in a chat."""
        return f"{told.alert.event.capitalize()}: {told.alert.title}"

    def subject(self, told: Told) -> str:
        """The same for a whole thread: some mail programs take another subject for another thread."""
        return told.alert.title if told.begins_thread else f"Re: {told.thread_title}"

    def text(self, told: Told, *, short: bool = False) -> str:
        """As plain text."""
        rendered = _templates().get_template("alert.txt.j2").render(self._view(told), short=short)
        return rendered.strip() + "\n"

    def html(self, told: Told) -> str:
        """As the HTML of a mail."""
        return _templates().get_template("alert.html.j2").render(self._view(told)).strip() + "\n"

    def mail(self, told: Told, *, sender: str, recipients: Sequence[str]) -> EmailMessage:
        """As a mail that belongs to its thread."""
        letter = Letter(
            name=f"alert.{told.name}",
            subject=self.subject(told),
            text=self.text(told),
            html=self.html(told),
            at=told.told_at,
            pictures=tuple(Inline(picture.name, picture.png) for picture in told.alert.pictures),
            follows="" if told.begins_thread else f"alert.{told.thread}",
        )
        return compose(letter, sender=sender, recipients=recipients)

    def _view(self, told: Told) -> dict[str, object]:
        alert = told.alert
        state = _state(told)
        return {
            "alert": alert,
            "title": alert.title,
            "state": state,
            "mark": _MARKS[alert.event],
            "tone_name": "resolved" if alert.event == "resolved" else alert.severity,
            "preview": f"{state}. {alert.text.partition(chr(10))[0]}",
            "paragraphs": [part.strip() for part in alert.text.split("\n\n") if part.strip()],
            "footer": f"{self._moment(alert.at)}. About {alert.key}, alert {told.name[:8]}. Sent by Heliograph.",
        }

    def _moment(self, at: datetime) -> str:
        return f"{at.astimezone(ZoneInfo(self.time_zone)):%Y-%m-%d %H:%M:%S %Z}"


@lru_cache(maxsize=1)
def _templates() -> Environment:
    environment = templates("core.alerts").overlay()
    environment.filters = environment.filters | {"coded": coded}
    return environment


def coded(text: str) -> Markup:
    """HTML of `text`, in which what stands between backticks is code."""
    style = "font-family:Consolas,Menlo,monospace;font-size:14px;background:#e3e7ec;padding:1px 4px"
    return Markup(_CODE.sub(rf'<span class="code" style="{style}">\1</span>', str(escape(text))))


def _state(told: Told) -> str:
    alert = told.alert
    if alert.event == "resolved":
        return "Resolved" if told.begins_thread else f"Resolved after {lasted(alert.at - told.opened_at)}"
    severity = {"critical": "Critical", "warning": "Warning", "info": "For information"}[alert.severity]
    return severity + {"updated": ", update", "reopened": ", open again"}.get(alert.event, "")


def lasted(length: timedelta) -> str:
    """A length of time in the words of people: minutes, then hours and minutes, then days and hours."""
    minutes = max(0, round(length.total_seconds() / 60))
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes} minute{'' if minutes == 1 else 's'}"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"
