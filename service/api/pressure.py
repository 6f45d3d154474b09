"""Counts calls in hand, measures them, and refuses those that are too many before anything is done for them.

A refusal is made once and sent as it is: were it an error like others, refusing would take the time of those served.
"""

from __future__ import annotations

import time

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import Overloaded
from service.api import problems
from service.availability import Minutes
from service.telemetry import Telemetry

UNCOUNTED = "uncounted"
"""Key in a handler's `opt`: health and telemetry answer however many calls wait."""


class Pressure(ASGIMiddleware):
    """At most `waiting_max` calls in hand. Measured beyond that: memory grows and everybody waits longer."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = UNCOUNTED

    def __init__(self, telemetry: Telemetry, minutes: Minutes, *, waiting_max: int) -> None:
        self._telemetry = telemetry
        self._minutes = minutes
        self._waiting_max = waiting_max
        self._in_hand = 0
        self._refusal = _refusal()

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if self._in_hand >= self._waiting_max:
            self._telemetry.shed.inc()
            self._minutes.shed()
            for message in self._refusal:
                await send(message)
            return
        self._in_hand += 1
        self._telemetry.in_hand.set(self._in_hand)
        begun = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await next_app(scope, receive, noting)
        finally:
            self._in_hand -= 1
            self._telemetry.in_hand.set(self._in_hand)
            self._note(scope, status, time.perf_counter() - begun)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        self._minutes.answered(status)
        route = scope.get("path_template", "")
        self._telemetry.calls.labels(route, str(scope.get("method")), str(status)).inc()
        self._telemetry.call_seconds.labels(route).observe(seconds)


def _refusal() -> tuple[Message, Message]:
    answer = problems.answer(problems.problem_of(Overloaded("too many calls wait")))
    headers = {**answer.headers, "Content-Type": problems.MEDIA_TYPE, "Content-Length": str(len(answer.content))}
    return (
        {
            "type": "http.response.start",
            "status": answer.status_code or 503,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        },
        {"type": "http.response.body", "body": answer.content, "more_body": False},
    )
