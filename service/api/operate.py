"""For operators: how the stores stand, health, and telemetry."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from core.errors import BadInput, Unavailable
from service.api.auth import requires
from service.api.parts import Parts
from service.api.pressure import UNCOUNTED
from service.api.problems import documented

_TAGS = ["Operating"]


class FailoverOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`set` declares a status, `recover` goes back to the primary store and replays the journal, `write_off` waits no
    longer for a `journal` that is listed as owed."""

    action: Literal["set", "recover", "write_off"]
    status: Annotated[str, msgspec.Meta(max_length=32)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=200)] = ""
    journal: Annotated[str, msgspec.Meta(max_length=64)] = ""


@get(
    "/v1/operate/failover",
    opt=requires("operate"),
    tags=_TAGS,
    summary="How the stores stand",
    responses=documented(),
)
async def failover_status(parts: NamedDependency[Parts]) -> dict[str, Any]:
    """The status of failover, since when, and what is left in the journal."""
    return _described(parts)


@post(
    "/v1/operate/failover",
    opt=requires("operate"),
    status_code=200,
    tags=_TAGS,
    summary="Declare a status, recover, or write a journal off",
    responses=documented(BadInput, Unavailable),
)
async def failover_order(data: JSONBody[FailoverOrder], parts: NamedDependency[Parts]) -> dict[str, Any]:
    """Declare a status by hand, go back to the primary store, or give up a journal that will never be drained."""
    switch = parts.switch
    if switch is None:
        raise BadInput("this service runs on one store and cannot switch")
    if data.action == "set":
        await switch.set(data.status, reason=data.reason)
    elif data.action == "write_off":
        await switch.write_off(data.journal)
    else:
        await switch.recover()
    return _described(parts)


@get("/healthz", opt={UNCOUNTED: True}, tags=_TAGS, summary="Whether the process lives")
async def healthz() -> dict[str, str]:
    """Always 200: a process that cannot answer this should be restarted."""
    return {"status": "ok"}


@get("/readyz", opt={UNCOUNTED: True}, tags=_TAGS, summary="Whether calls can be served")
async def readyz(parts: NamedDependency[Parts]) -> Response[dict[str, str]]:
    """200 while calls can be served, else 503; either way with what is up and what is not."""
    ready, words = await parts.health.look()
    return Response(words, status_code=200 if ready else 503)


@get("/metrics", opt={UNCOUNTED: True}, tags=_TAGS, summary="Telemetry for Prometheus", media_type="text/plain")
async def telemetry(parts: NamedDependency[Parts]) -> Response[bytes]:
    """Counters of this process; no label holds what callers sent."""
    return Response(generate_latest(parts.telemetry.registry), media_type=CONTENT_TYPE_LATEST)


def _described(parts: Parts) -> dict[str, Any]:
    return dict(parts.switch.describe()) if parts.switch else {"status": "healthy", "stores": "one"}
