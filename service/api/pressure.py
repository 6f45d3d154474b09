"""Counts calls in hand, measures them, and refuses those that are too many before anything is done for them.

A refusal is made once and sent as it is: were it an error like others, refusing would take the time of those served.
"""

from __future__ import annotations

import asyncio
import time

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import Overloaded
from service.api import problems
from service.availability import Minutes
from service.stores import patience
from service.telemetry import Telemetry

UNCOUNTED = "uncounted"
"""Key in a handler's `opt`: health and telemetry answer however many calls wait."""


LAG_MAX_SECONDS = 0.25
"""With 64 callers at full speed the event loop lags by some 20 ms."""
_LOOK_SECONDS = 0.05
_STEEPEST, _GROWTH = 0.3, 1.05
_LEAST = 32
_PUSHES = ("/v1/receipts/", "/v1/inbound/")
_PUSHES_PART = 4
"""Anybody may begin a push, and take his time: only its whole body says whose it is. They get a quarter of all places."""


class Room:
    """How many calls may be in hand: `most` while the event loop keeps up, fewer for as long as it lags.

    A count alone is too many on a slow day: measured, a machine that answered 34 calls a second took a thousand in hand,
    and answered five. The lag tells want of time; calls that wait for a slow provider or store make none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._allowed = float(most)

    @property
    def allowed(self) -> int:
        """Calls in hand beyond which the next is refused."""
        return int(self._allowed)

    def note_lag(self, seconds: float) -> None:
        """What was due on the event loop came so much later."""
        if seconds > LAG_MAX_SECONDS:
            self._allowed = max(min(_LEAST, self._most), self._allowed * max(_STEEPEST, LAG_MAX_SECONDS / seconds))
        else:
            self._allowed = min(self._most, self._allowed * _GROWTH + 1)


class Pressure(ASGIMiddleware):
    """Takes no more calls in hand than there is room for. Measured beyond that: memory grows and everybody waits longer."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = UNCOUNTED

    def __init__(self, telemetry: Telemetry, minutes: Minutes, *, waiting_max: int) -> None:
        self._telemetry = telemetry
        self._minutes = minutes
        self._room = Room(waiting_max)
        self._in_hand = self._pushes = 0
        telemetry.in_hand.set_function(lambda: self._in_hand)
        self._refusal = _refusal()
        self._looking: asyncio.TimerHandle | None = None

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if self._looking is None:
            self._look_again()
        is_push = scope["path"].startswith(_PUSHES)
        allowed = self._room.allowed
        if self._in_hand >= allowed or (is_push and self._pushes >= max(1, allowed // _PUSHES_PART)):
            self._telemetry.shed.inc()
            self._minutes.shed()
            for message in self._refusal:
                await send(message)
            return
        self._in_hand += 1
        self._pushes += is_push
        begun = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with patience.counted():
                await next_app(scope, receive, noting)
        except Exception as error:
            status = problems.status_of(error)  # what a middleware behind raises is answered outside of this one
            raise
        finally:
            self._in_hand -= 1
            self._pushes -= is_push
            self._note(scope, status, time.perf_counter() - begun)

    def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + _LOOK_SECONDS

        def look() -> None:
            self._room.note_lag(loop.time() - due)
            if self._in_hand:
                self._look_again()
            else:
                self._looking = None  # the next call begins anew

        self._looking = loop.call_at(due, look)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        self._minutes.answered(status)
        route = scope.get("path_template", "")
        self._telemetry.answered(route, str(scope.get("method")), status, seconds)


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
