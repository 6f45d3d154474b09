"""The alerts of this machine, from the folder in which they are kept until every channel has them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from core.alerts.outbox import Outbox

COLUMNS = ("at", "severity", "event", "title", "state")
_MOST = 50


def told(folder: Path) -> pd.DataFrame | str:
    """The newest alerts: `COLUMNS`; why, when the folder cannot be read. Nothing is written."""
    if not folder.exists():
        return pd.DataFrame(columns=list(COLUMNS))
    try:
        outbox = Outbox(folder)
        newest = sorted(outbox.all(), key=lambda one: one.told_at, reverse=True)[:_MOST]
        rows = [
            {
                "at": one.told_at,
                "severity": one.alert.severity,
                "event": one.alert.event,
                "title": one.alert.title,
                "state": "; ".join(f"{channel}: {outbox.passage(one, channel).state}" for channel in one.channels),
            }
            for one in newest
        ]
    except OSError as error:
        return error.strerror or type(error).__name__
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["at"] = pd.to_datetime(frame["at"], utc=True)
    return frame
