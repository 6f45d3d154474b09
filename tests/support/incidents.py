"""An incident as detection finds it: deliveries of one provider to one carrier in one region fell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from metrics.detection.incidents import Incident, LeadingCode

ONSET = datetime(2026, 3, 2, 14, 3, tzinfo=UTC)


def an_incident(**more: Any) -> Incident:
    one = Incident(
        id="d3adbeef",
        kind="delivery-drop",
        channel="delivered",
        scope={"provider": ("alpha",), "carrier": ("CMCC",), "region": ("Guangdong",)},
        onset=ONSET,
        detected_at=ONSET + timedelta(minutes=3),
        updated_at=ONSET + timedelta(minutes=3),
        affected=1100,
        messages=1240,
        lost=1240,
        share=0.93,
        expected=0.95,
        observed=0.71,
        n=5166,
        codes=(LeadingCode("MK:0004", "route", 0.8),),
        normal=("the other providers are normal there",),
        confidence=21.0,
    )
    return replace(one, **more)
