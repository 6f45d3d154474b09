"""People are counted beside messages: who asked again counts once, and what was late before the fault is no part of it."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from metrics.counts import Affected
from metrics.detection.people import FramePeople, NobodyKnown, late, per_message
from metrics.detection.replay import over_attempts
from tests.metrics.detection.told import FAULT, broken, span

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def frame(**columns) -> pd.DataFrame:
    """Attempts a second apart from `FAULT` on, accepted by alpha, of which nothing is heard."""
    size = len(next(iter(columns.values())))
    usual = {
        "submitted_at": pd.Timestamp(FAULT) + pd.to_timedelta(np.arange(size), unit="s"),
        "provider": "alpha",
        "outcome": "accepted",
    }
    return pd.DataFrame(usual | columns)


def after(*seconds: float | None) -> pd.Series:
    """Moments so many seconds after `FAULT`; None is never."""
    return pd.Series([pd.NaT if each is None else pd.Timestamp(FAULT) + pd.Timedelta(seconds=each) for each in seconds])


def counted(attempts: pd.DataFrame, channel: str, *, minutes: float = 10, **scope: str) -> Affected | None:
    held = {name: (value,) for name, value in scope.items()}
    return FramePeople(attempts).count(channel, held, FAULT, FAULT + MINUTE, FAULT + minutes * MINUTE)


def test_who_asks_again_counts_once_and_an_unknown_number_once_each():
    attempts = frame(phone_hash=["ana", "ana", "ben", "", None, "eve"], delivered_at=after(*[None] * 5, 9))

    assert counted(attempts, "delivered") == Affected(6, 5, 4)
    assert counted(attempts.drop(columns="phone_hash"), "delivered") == Affected(6, 5, 5)


def test_each_channel_has_its_own_way_to_fare_badly():
    attempts = frame(
        phone_hash=["a", "b", "c", "d"],
        outcome=["accepted", "accepted", "accepted", "rejected"],
        delivered_at=after(5, 90, None, None),
        failed_at=after(None, None, 7, None),
        filled_at=after(20, None, None, None),
        first_check_at=after(20, 95, None, None),
        first_check_right=[True, False, False, False],
    )
    bad = {
        channel: counted(attempts, channel).harmed
        for channel in ("accepted", "receipts", "delivered", "filled", "right", "delay")
    }

    assert bad == {"accepted": 1, "receipts": 0, "delivered": 1, "filled": 2, "right": 1, "delay": 1}
    assert counted(attempts, "data") is None


def test_what_comes_later_is_not_known_yet():
    attempts = frame(delivered_at=after(30, 90))

    assert counted(attempts, "receipts", minutes=1) == Affected(2, 1, 1)
    assert counted(attempts, "receipts", minutes=2) == Affected(2, 0, 0)


def test_only_its_scope_and_what_was_submitted_count():
    attempts = frame(provider=["alpha", "beta", "alpha"], outcome=["accepted", "accepted", "refused"])

    assert counted(attempts, "receipts", provider="alpha") == Affected(1, 1, 1)


def test_what_was_late_the_day_before_would_have_been_late_anyway():
    today = frame(delivered_at=after(90, 91, 92, 3))
    before = today.assign(submitted_at=today["submitted_at"] - DAY, delivered_at=after(90, 1, 2, 3) - DAY)
    people = FramePeople(pd.concat([today, before]))

    assert late(people, {}, FAULT, FAULT + MINUTE, FAULT + 5 * MINUTE) == pytest.approx(3 - 4 * 1 / 4)
    assert late(FramePeople(today), {}, FAULT, FAULT + MINUTE, FAULT + 5 * MINUTE) is None


def test_where_nobody_knows_a_message_is_a_person():
    assert per_message(NobodyKnown(), "delivered", {}, FAULT, FAULT + MINUTE, FAULT + MINUTE) == 1


def vanish(rows: pd.DataFrame, hit: pd.Series) -> None:
    """Six of ten are never heard of again; who lost one asked for three."""
    lost = hit & (rows["draw"] < 0.6)
    rows.loc[lost, ["delivers", "fails", "fills"]] = False
    rows["phone_hash"] = np.arange(len(rows)).astype(str)
    rows.loc[lost, "phone_hash"] = [f"again {place // 3}" for place in range(lost.sum())]


def test_an_incident_counts_the_people_of_its_messages():
    attempts = broken(vanish, carrier="CMCC")
    lost = attempts["phone_hash"].str.startswith("again").sum()

    last = list(over_attempts(attempts, **span()))[-1].incident

    assert last.messages == pytest.approx(lost, rel=0.2)
    assert last.affected == pytest.approx(lost / 3, rel=0.2)
