"""The steps of one message as sentences. Names come from data and are passed on as they are; the page escapes them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from app.causes import ERROR_CLASSES

_OUTCOMES = {
    "accepted": "taken",
    "rejected": "rejected",
    "failed": "failed",
    "unknown": "no answer in time, it may still arrive",
    "refused": "refused by us, never submitted",
}
_STATUSES = {"delivered": "delivered", "failed": "not delivered", "pending": "on its way"}
_RESULTS = {
    "approved": "right, approved",
    "wrong": "wrong code",
    "expired": "too late, expired",
    "too_many": "too many tries",
    "already_approved": "right, and approved before",
}
_WORDS = {
    "stop": "The number said STOP through {}: it wants no messages but codes",
    "start": "The number said START through {}: it wants messages again",
}


def step(row: Mapping[Hashable, Any]) -> str:
    """One row of `metrics.trace.story` as a sentence."""
    kind, attempt, what = row["kind"], int(row["attempt"]), str(row["what"])
    why = _why(what, str(row["error_class"]), str(row["error_code"]))
    if kind == "send":
        to = f" for {row['carrier']}" if row["carrier"] else ""
        return f"Attempt {attempt} to {row['provider']}{to}: {_OUTCOMES.get(what, what)}{why} ({row['detail']})"
    if kind == "receipt":
        raw = f" (“{row['detail']}”)" if row["detail"] else ""
        return f"Receipt of attempt {attempt}: {_STATUSES.get(what, what)}{why}{raw}"
    if kind == "inbound":
        return _WORDS.get(what, what).format(row["provider"])
    of = f"the code of attempt {attempt}" if attempt else "a code that is nobody's"
    return f"Entered {of}: {_RESULTS.get(what, what)} ({row['detail']})"


def _why(what: str, error_class: str, code: str) -> str:
    is_told = not error_class or (what, error_class) == ("unknown", "timeout")  # by the outcome, in the same words
    reason = "" if is_told else ERROR_CLASSES.get(error_class, error_class)
    said = f"code {code}" if code else ""
    both = ", ".join(part for part in (reason, said) if part)
    return f", {both}" if both else ""
