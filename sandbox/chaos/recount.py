"""The ten metrics counted again, plainly, by joins and group-bys over whole tables: nothing of how the warehouse does it.

Fit for some hundred thousand rows; it is there to disagree with the warehouse when one of the two is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pandas as pd

Counted = dict[str, tuple[float, int]]


def as_told(facts: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Sends, receipts and checks out of the tables of the primary store, with the columns of their events. Times are to the
    millisecond, as the warehouse keeps them."""
    requests = facts["requests"][["id", "category", "carrier"]].rename(columns={"id": "request_id"})
    attempts = facts["attempts"][["request_id", "attempt", "at", "cause"]]
    outcomes = facts["outcomes"][["request_id", "attempt", "outcome", "error_class"]]
    sends = attempts.merge(outcomes, on=["request_id", "attempt"]).merge(requests, on="request_id")
    receipts = facts["receipts"][["request_id", "attempt", "at", "status", "error_class", "carrier"]]
    checks = facts["checks"][["request_id", "check", "at", "attempt", "result"]]
    timed = [
        frame.assign(at=pd.to_datetime(frame["at"], utc=True).dt.floor("ms")) for frame in (sends, receipts, checks)
    ]
    return timed[0], timed[1], timed[2]


def submitted(sends: pd.DataFrame, receipts: pd.DataFrame, checks: pd.DataFrame) -> pd.DataFrame:
    """One row a submitted attempt, with its first final receipt, whether its code was entered, and when its request
    was approved and asked for again. Columns are those of the events of that kind."""
    key = ["request_id", "attempt"]
    receipts = receipts.sort_values("at")
    final = receipts[receipts["status"] != "pending"].drop_duplicates(key, keep="first")[
        [*key, "at", "status", "error_class"]
    ]
    named = receipts[receipts["carrier"] != ""].drop_duplicates(key)[[*key, "carrier"]]
    table = sends.drop(columns="error_class").merge(final, on=key, how="left", suffixes=("", "_final"))
    table = table.merge(named, on=key, how="left", suffixes=("", "_named"))
    table["carrier"] = table["carrier_named"].fillna(table["carrier"])
    filled = set(zip(checks["request_id"], checks["attempt"], strict=True))
    table["filled"] = [pair in filled for pair in zip(table["request_id"], table["attempt"], strict=True)]
    approved = checks[checks["result"] == "approved"].groupby("request_id")["at"].min().rename("approved_at")
    asked_again = sends[sends["cause"] == "resend"].groupby("request_id")["at"].min().rename("resent_at")
    table = table.join(approved, on="request_id").join(asked_again, on="request_id")
    return table[table["outcome"] != "refused"]


def recount(table: pd.DataFrame, *, now: datetime, on_time_seconds: int) -> Counted:
    """Value and n of each metric, by slug."""
    accepted = table[table["outcome"] == "accepted"]
    delivered = accepted[accepted["status"] == "delivered"]
    failed = accepted[accepted["status"] == "failed"]
    pending = accepted[accepted["status"].isna()]
    seconds = (delivered["at_final"] - delivered["at"]).dt.total_seconds().clip(lower=0)  # a clock may step back
    codes = accepted[accepted["category"] == "code"]
    started = table[(table["category"] == "code") & (table["attempt"] == 1)]
    theirs = failed[failed["error_class"].isin(["handset", "number"])]
    overdue = pending[pending["at"] < now - timedelta(seconds=on_time_seconds)]
    again = started["resent_at"].notna() & ~(started["resent_at"] >= started["approved_at"])

    def ratio(above: int, below: int) -> tuple[float, int]:
        return (above / below if below else float("nan"), below)

    return {
        "third_party_success_rate": ratio(len(accepted), len(table)),
        "receipt_rate": ratio(len(delivered) + len(failed), len(accepted)),
        "delivery_rate": ratio(len(delivered), len(accepted)),
        "receipt_success_rate": ratio(len(delivered), len(delivered) + len(failed)),
        "effective_success_rate": ratio(len(delivered), len(accepted) - len(pending) - len(theirs)),
        "fill_rate": ratio(int(codes["filled"].sum()), len(codes)),
        "verification_success_rate": ratio(int(started["approved_at"].notna().sum()), len(started)),
        "delivery_time": (float(seconds.quantile(0.5)), len(delivered)),
        "delivery_time_p95": (float(seconds.quantile(0.95)), len(delivered)),
        "on_time_rate": ratio(int((seconds <= on_time_seconds).sum()), len(delivered) + len(failed) + len(overdue)),
        "resend_rate": ratio(int(again.sum()), len(started)),
    }
