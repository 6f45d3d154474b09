"""What a detector is asked and what it answers: attempts in, notifications out, one JSON line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

import msgspec
import pandas as pd


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One notification, as `heliograph detect replay --out` writes it; other fields of a line are passed over.

    The first line of an `incident_id` opens it, later ones tell it as it stands then. `detected_at` is when it was first
    seen. A dimension that `scope` does not name is any. `affected` counts people so far and `messages` their messages; who
    does not tell people from messages says the same of both.
    """

    detected_at: datetime
    incident_id: str
    kind: str
    metric: str
    scope: dict[str, list[str]]
    onset: datetime
    resolved_at: datetime | None = None
    affected: float = 0.0
    messages: float | None = None
    share: float | None = None


class Detector(Protocol):
    """Replays attempts as if time passed: what an alert says at a moment rests on facts up to that moment alone."""

    def __call__(self, attempts: pd.DataFrame, *, start: datetime, end: datetime) -> Iterable[Alert]:
        """The alerts of [start, end), in order; `attempts` are a drill's, those before `start` its baseline."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Alert)


def to_lines(alerts: Iterable[Alert]) -> bytes:
    """Alerts as JSON lines."""
    return _encoder.encode_lines(list(alerts))


def from_lines(lines: bytes) -> list[Alert]:
    """Alerts from JSON lines. Raises `msgspec.ValidationError` for a line that is none."""
    return [_decoder.decode(line) for line in lines.splitlines() if line.strip()]


def from_told(told: Mapping[str, object]) -> Alert:
    """One alert from the plain values of a line."""
    return msgspec.convert(told, Alert, strict=False)
