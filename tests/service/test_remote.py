"""What `heliograph failover` prints can be read by somebody who was just woken up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import msgspec
import pytest

from core.errors import BadInput
from service.failover import Status
from service.failover.status import Change, FailoverView
from service.remote import operate, told

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def view(status: Status, **fields) -> dict:
    given = {
        "status": status,
        "since": NOW - timedelta(minutes=3, seconds=4),
        "reason": "OperationalError 2003",
        "backlog_bytes": 0,
        "looks_well_since": None,
        "problem": "",
        "copies_dropped": 0,
        "history": (),
    }
    return msgspec.to_builtins(FailoverView(**(given | fields)))


def test_a_healthy_service_says_so_in_three_lines():
    text = told(view(Status.HEALTHY, reason="started"), now=NOW)

    assert text.splitlines() == [
        "healthy: Both stores are well",
        "since    2026-03-01 11:56:56 UTC (3 min 4 s ago): started",
        "journal  nothing waits",
    ]


def test_an_outage_says_what_waits_what_to_do_and_what_happened():
    change = Change(at=NOW, old=Status.HEALTHY, new=Status.MYSQL_FATAL, reason="OperationalError 2003")
    well = NOW - timedelta(seconds=9)
    text = told(
        view(Status.MYSQL_FATAL, backlog_bytes=12_345, looks_well_since=well, problem="disk", history=(change,)),
        now=NOW,
    )

    assert "journal  12,345 bytes wait" in text
    assert "looks well since 2026-03-01 11:59:51 UTC" in text
    assert "problem  disk" in text
    assert "`heliograph failover recover`" in text
    assert text.endswith("healthy -> mysql_fatal: OperationalError 2003")


def test_what_this_version_does_not_know_is_printed_as_it_came():
    assert told({"status": "healthy", "stores": "one"}, now=NOW) == "status: healthy\nstores: one"


@pytest.mark.parametrize(("status", "words"), [(503, "takes writes again"), (401, "scope operate")])
def test_a_refusal_says_what_to_do(status: int, words: str):
    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b'{"detail": "no"}')

        def log_message(self, *_arguments: object) -> None:
            """Nothing to the terminal."""

    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(BadInput, match="the service refuses: no") as refused:
            operate(f"http://127.0.0.1:{server.server_port}", "key", {"action": "recover"})
        thread.join()

    assert words in refused.value.hint
