"""Alerts over kept channels, with a clock that is moved by hand; a webhook that answers what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.alerts import Alert, Alerts
from core.alerts.channels import Channel, KeptChannel
from core.alerts.main import assemble
from core.clock import ManualClock
from core.settings import Settings
from core.settings.watching import AlertRoute
from core.settings.watching import Alerts as AlertSettings

NOW = datetime(2026, 3, 2, 14, 3, tzinfo=UTC)


def an_alert(event: Any = "opened", **more: Any) -> Alert:
    told = {
        "key": "stores",
        "event": event,
        "kind": "store_status",
        "severity": "critical",
        "title": "The primary store is down",
        "text": "Codes are sent and checked on the backup.",
        "at": NOW,
    }
    return Alert(**(told | more))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def kept() -> KeptChannel:
    return KeptChannel()


@pytest.fixture
def open_desk(tmp_path: Path, clock: ManualClock) -> Iterator[Callable[..., Alerts]]:
    """Makes alerts over these channels and routes; a second call is a second process on the same folder."""
    opened: list[Alerts] = []

    def make(*channels: Channel, routes: list[AlertRoute] | None = None, **more: Any) -> Alerts:
        found = AlertSettings(folder=tmp_path / "alerts", **more)
        settings = Settings(alerts=found, alert_routes=routes or [])
        opened.append(assemble(settings, list(channels), clock=clock))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def desk(open_desk: Callable[..., Alerts], kept: KeptChannel) -> Alerts:
    return open_desk(kept)


@dataclass
class Webhook:
    """A server that keeps what is posted to it and answers with `status`."""

    url: str = ""
    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if hook.status == 200:
                hook.bodies.append(json.loads(body))
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.url = f"json://127.0.0.1:{server.server_port}/hooks/a-secret-token"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield hook
    server.shutdown()
    server.server_close()
    thread.join()
