"""The bare limit of the framework: a POST that does nothing, on the same server with the same settings as the service."""

from __future__ import annotations

import sys

import uvicorn
from litestar import Litestar, Response, post


@post("/", status_code=200)
async def nothing() -> Response[bytes]:
    """Answer."""
    return Response(b"{}", media_type="application/json")


if __name__ == "__main__":
    app = Litestar([nothing], openapi_config=None, logging_config=None)
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
