"""What the server of the dashboard serves: the pages of `app/dashboard.py`, whose first document fetches ahead what they need."""

from __future__ import annotations

from pathlib import Path

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from streamlit.starlette import App

from app import ahead
from app.headers import Guarded


async def _document(request: Request) -> HTMLResponse:
    page = request.url.path.strip("/")
    text = ahead.document(page, tells_of_one="incident" in request.query_params)
    return HTMLResponse(text, headers={"Cache-Control": "no-cache"})


streamlit_app = App(
    Path(__file__).with_name("dashboard.py"),
    routes=[Route(f"/{page}", _document) for page in ahead.PAGES],
    middleware=[Middleware(Guarded)],
)
