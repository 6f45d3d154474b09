"""What the browser is told with every answer."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.headers import HEADERS, Guarded


async def _plain(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("well")


async def _careful(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("well", headers={"X-Frame-Options": "DENY"})


def answer(path: str) -> dict[str, str]:
    served = Starlette(routes=[Route("/", _plain), Route("/careful", _careful)], middleware=[Middleware(Guarded)])
    return dict(TestClient(served).get(path).headers)


def test_every_answer_has_them_whatever_was_asked_for() -> None:
    wanted = {name.lower(): value for name, value in HEADERS.items()}

    assert answer("/").items() >= wanted.items()
    assert answer("/no/such/page").items() >= wanted.items()


def test_what_an_answer_says_itself_stands() -> None:
    assert answer("/careful")["x-frame-options"] == "DENY"
