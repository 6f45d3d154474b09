"""A small world told by hand: three providers, two countries, a few hundred messages a minute, and one fault to find."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

START = datetime(2026, 3, 2, tzinfo=UTC)
BASELINE = timedelta(hours=30)
FAULT = START + BASELINE + timedelta(hours=1)
"""When the fault of a test begins; the replay begins an hour before."""

Change = Callable[[pd.DataFrame, pd.Series], None]
"""Changes, in place, the rows of a drawn frame that the mask names: what would have become of them on a good day."""


def world(*, hours: float, per_minute: float = 60, seed: int = 1) -> pd.DataFrame:
    """Attempts from `START` on for so many hours: 98 % accepted, 94 % delivered in seconds, 3 % failed, 80 % filled."""
    rng = np.random.default_rng(seed)
    count = rng.poisson(per_minute * 60 * hours)
    seconds = np.sort(rng.uniform(0, hours * 3600, count))
    country = rng.choice(["CN", "DE"], count, p=[0.6, 0.4])
    accepted, fate = rng.random(count) < 0.98, rng.random(count)
    return pd.DataFrame(
        {
            "submitted_at": pd.Timestamp(START) + pd.to_timedelta(seconds, unit="s"),
            "provider": rng.choice(["alpha", "beta", "gamma"], count, p=[0.4, 0.35, 0.25]),
            "country": country,
            "carrier": np.where(country == "CN", rng.choice(["CMCC", "CUCC"], count), "Telekom"),
            "region": np.where(country == "CN", rng.choice(["Guangdong", "Jiangsu"], count), "Hessen"),
            "template": rng.choice(["plain", "branded"], count),
            "purpose": rng.choice(["login", "signup"], count),
            "app": rng.choice(["shop", "bank"], count),
            "outcome": np.where(accepted, "accepted", "rejected"),
            "outcome_class": np.where(accepted, "", "number"),
            "outcome_code": np.where(accepted, "", "R1"),
            "takes": rng.lognormal(np.log(5), 0.7, count),
            "delivers": accepted & (fate < 0.94),
            "fails": accepted & (fate >= 0.94) & (fate < 0.97),
            "fills": accepted & (fate < 0.94) & (rng.random(count) < 0.85),
            "reads": rng.lognormal(np.log(20), 0.5, count),
            "right": rng.random(count) < 0.95,
            "failure_class": "handset",
            "failure_code": "MK:0001",
            "draw": rng.random(count),
        }
    )


def finished(frame: pd.DataFrame) -> pd.DataFrame:
    """The drawn frame as attempts: moments where there were seconds."""
    at = frame["submitted_at"]
    received = at + pd.to_timedelta(frame["takes"], unit="s")
    filled = received + pd.to_timedelta(frame["reads"], unit="s")
    told = frame.assign(
        delivered_at=received.where(frame["delivers"]),
        failed_at=received.where(frame["fails"]),
        filled_at=filled.where(frame["fills"]),
        first_check_at=filled.where(frame["fills"]),
        first_check_right=frame["right"],
    )
    return told.drop(columns=["takes", "delivers", "fails", "fills", "reads", "right", "draw"])


def broken(
    change: Change, *, minutes: float = 60, hours_after: float = 2.5, per_minute: float = 60, **scope: str
) -> pd.DataFrame:
    """A world in which `change` is done to the messages in `scope` for `minutes` from `FAULT` on."""
    frame = world(hours=BASELINE / timedelta(hours=1) + 1 + hours_after, per_minute=per_minute)
    hit = (frame["submitted_at"] >= FAULT) & (frame["submitted_at"] < FAULT + timedelta(minutes=minutes))
    for name, value in scope.items():
        hit &= frame[name] == value
    change(frame, hit)
    return finished(frame)


def span(hours_after: float = 2.5) -> dict[str, datetime]:
    """The window of a replay of `broken`."""
    return {"start": START + BASELINE, "end": FAULT + timedelta(hours=hours_after)}
