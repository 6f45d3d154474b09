"""What operators' commands ask of a running service, over its own API."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from core.errors import BadInput, Unavailable
from service.failover.status import FailoverView
from service.herald import LOOK, WORDS

TIMEOUT_SECONDS = 10.0
_HINTS = {
    401: "give a key with scope operate: `heliograph keys create --scope operate`",
    403: "give a key with scope operate: `heliograph keys create --scope operate`",
    503: "a store is gone back to when it takes writes again; its log and [store] in the settings say what keeps it",
}
_LAST = 5


def operate(url: str, key: str, order: dict[str, str] | None) -> dict[str, Any]:
    """How the stores of the service at `url` stand, after `order` when there is one. Raises `BadInput`, `Unavailable`."""
    if not url.startswith(("http://", "https://")):
        raise BadInput("the address of the service begins with http:// or https://")
    request = urllib.request.Request(  # the scheme was just looked at
        f"{url.rstrip('/')}/v1/operate/failover",
        data=json.dumps(order).encode() if order else None,
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            view: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        raise BadInput(f"the service refuses: {_detail(error)}", hint=_HINTS.get(error.code, "")) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unavailable(
            f"no service answers at {url}: {type(error).__name__}",
            hint="is `heliograph service` running there? --url gives another address",
        ) from None
    return view


def told(view: dict[str, Any], *, now: datetime) -> str:
    """The answer for a person to read: how things stand, what waits, what to do, what happened last."""
    try:
        stands = msgspec.convert(view, FailoverView)
    except msgspec.ValidationError:  # a service on one store, or of another version
        return "\n".join(f"{name}: {value}" for name, value in view.items())
    words = WORDS[stands.status]
    lines = [
        f"{stands.status}: {words.title}",
        f"since    {_moment(stands.since)} ({_length(now - stands.since)} ago): {stands.reason}",
        f"journal  {f'{stands.backlog_bytes:,} bytes wait' if stands.backlog_bytes else 'nothing waits'}",
    ]
    if stands.looks_well_since is not None:
        lines.append(f"MySQL    looks well since {_moment(stands.looks_well_since)}")
    if stands.problem:
        lines.append(f"problem  {stands.problem}")
    lines += [f"owed     by another instance: journal {journal}" for journal in stands.owed]
    lines += [
        f"deaf     another instance, if it lives: it does not keep up with Redis; journal {journal}"
        for journal in stands.deaf
    ]
    if stands.copies_dropped:
        lines.append(f"Redis    {stands.copies_dropped:,} copies were dropped: too many waited")
    lines += [f"to do    {step}" for step in words.steps if step != LOOK]
    lines += ["", "What happened last, the newest first:"] if stands.history else []
    lines += [f"  {_moment(row.at)}  {row.old} -> {row.new}: {row.reason}" for row in reversed(stands.history[-_LAST:])]
    return "\n".join(lines)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _length(time: timedelta) -> str:
    minutes, seconds = divmod(max(int(time.total_seconds()), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.load(error)
        return str(problem.get("detail") or problem.get("title"))
    except (ValueError, AttributeError, OSError):
        return f"status {error.code}"
