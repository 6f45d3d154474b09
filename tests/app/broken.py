"""An incident with its evidence: deliveries of one provider to one carrier fell twenty minutes ago."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd

from metrics.detection.incidents import Incident, LeadingCode

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
ONSET = NOW - timedelta(minutes=20)


def incident(name: str = "one", **changes) -> Incident:
    usual = {
        "id": name,
        "kind": "delivery-drop",
        "channel": "delivered",
        "scope": {"provider": ("aurora",), "carrier": ("Vodafone",)},
        "onset": ONSET,
        "detected_at": ONSET + timedelta(minutes=3),
        "updated_at": ONSET + timedelta(minutes=4),
        "affected": 1100,
        "messages": 1240,
        "lost": 1100,
        "share": 0.93,
        "expected": 0.95,
        "observed": 0.71,
        "n": 5000,
        "codes": (LeadingCode("MK:0004", "route", 0.8),),
        "normal": ("the other providers are normal there",),
    }
    return Incident(**(usual | changes))


def evidence_of(minutes: int = 40) -> pd.DataFrame:
    start = ONSET - timedelta(minutes=20)
    return pd.DataFrame(
        {
            "minute": pd.to_datetime([start + timedelta(minutes=place) for place in range(minutes)], utc=True),
            "channel": "delivered",
            "expected": 95.0,
            "observed": [95.0] * 20 + [70.0] * (minutes - 20),
            "low": 80.0,
            "high": 110.0,
            "n": 100,
        }
    )
