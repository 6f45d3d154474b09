"""What operators' commands ask of a running service, over its own API."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from core.errors import BadInput, Unavailable

TIMEOUT_SECONDS = 10.0


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
        raise BadInput(f"the service refuses: {_detail(error)}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unavailable(
            f"no service answers at {url}: {type(error).__name__}",
            hint="is `heliograph service` running there? --url gives another address",
        ) from None
    return view


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.load(error)
        return str(problem.get("detail") or problem.get("title"))
    except (ValueError, AttributeError, OSError):
        return f"status {error.code}"
