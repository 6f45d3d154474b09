"""What every answer of the dashboard's server tells the browser not to do: show it within pages of other sites, where a click may
land on what its reader does not see; guess what a file is; tell other sites the address, which holds filters.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",  # the same for browsers that do not know the first
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


class Guarded:
    """Adds them, but for those that an answer has already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, answer)
