"""Starting, stopping, dying: what was acknowledged is there afterwards, and what cannot work says why."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from sandbox.errors import ProcessDied
from sandbox.gateway.launch import RunningGateway, start_gateway
from tests.sandbox.gateway.conftest import connect_to
from tests.sandbox.gateway.test_protocol import SLOW, ask, wait_for_processes

Start = Callable[..., RunningGateway]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts gateways that end with the test."""
    started: list[RunningGateway] = []

    def start_one(folder: Path = tmp_path, **options: object) -> RunningGateway:
        started.append(start_gateway(folder, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start_one
    for gateway in started:
        gateway.kill()


def insert_until_it_dies(gateway: RunningGateway, acknowledged: list[int], offered: list[int]) -> None:
    with connect_to(gateway, database="default", query_retries=0) as client:
        while True:
            first = len(offered) * 1000
            offered.append(first)
            body = b"".join(b"%d\n" % n for n in range(first, first + 1000))
            try:
                client.raw_insert("t", insert_block=body, fmt="CSV")
            except ClickHouseError:
                return
            acknowledged.append(first)


def test_kill_9_in_the_middle_of_inserts_loses_nothing_acknowledged_and_tears_nothing(start: Start) -> None:
    gateway = start()
    with connect_to(gateway) as client:
        client.command("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    acknowledged: list[int] = []
    offered: list[int] = []
    for kill in range(1, 6):
        writer = threading.Thread(target=insert_until_it_dies, args=(gateway, acknowledged, offered))
        writer.start()
        deadline = time.monotonic() + 60
        while len(acknowledged) < kill * 40 and time.monotonic() < deadline:
            time.sleep(0.001)
        gateway.kill()
        writer.join()
        gateway.restart()
    with connect_to(gateway) as client:
        batches = dict(
            client.query("SELECT intDiv(n, 1000) * 1000 AS batch, count() FROM t GROUP BY batch").result_rows
        )

    assert len(acknowledged) >= 200
    assert set(acknowledged) <= set(batches) <= set(offered)
    assert set(batches.values()) == {1000}


def test_a_stop_is_clean_and_the_folder_opens_again(start: Start) -> None:
    gateway = start()
    with connect_to(gateway) as client:
        client.command("CREATE TABLE t (n UInt8) ENGINE = MergeTree ORDER BY n")
        client.insert("t", [[1]])
    asked_was_enough = gateway.stop()
    status = gateway.process.exit_status
    gateway.restart()

    assert (asked_was_enough, status, ask(gateway, b"SELECT n FROM t")[2]) == (True, 0, b"1\n")


def test_a_stop_does_not_wait_for_a_slow_query(start: Start) -> None:
    gateway = start()
    slow = threading.Thread(target=ask_and_lose, args=(gateway,))
    slow.start()
    wait_for_processes(gateway, "20000000000", count=1)
    asked_was_enough = gateway.stop()
    slow.join()

    assert (asked_was_enough, gateway.process.exit_status) == (True, 0)


def ask_and_lose(gateway: RunningGateway) -> None:
    try:
        ask(gateway, SLOW.encode())
    except OSError:
        return


def test_a_folder_that_is_open_elsewhere_is_refused_with_the_reason(start: Start, tmp_path: Path) -> None:
    start(tmp_path / "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "data").symlink_to(tmp_path / "one" / "data")

    with pytest.raises(ProcessDied, match="is open in another process"):
        start(tmp_path / "two")


def run(*arguments: str, password: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox.gateway", *arguments]
    environment = {"HELIOGRAPH_GATEWAY_PASSWORD": password, "PATH": ""}
    root = Path(__file__).parents[3]
    return subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_an_address_that_others_could_reach_is_refused(tmp_path: Path, host: str) -> None:
    ended = run("--data", str(tmp_path), "--host", host, password="x")

    assert (ended.returncode, "loopback only" in ended.stderr) == (1, True)


def test_a_gateway_without_a_password_does_not_start(tmp_path: Path) -> None:
    ended = run("--data", str(tmp_path))

    assert (ended.returncode, "needs a password" in ended.stderr) == (1, True)


def test_it_says_where_it_listens_when_it_picks_the_port(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox.gateway", "--data", str(tmp_path), "--port", "0"]
    environment = {"HELIOGRAPH_GATEWAY_PASSWORD": "x", "PATH": ""}
    with subprocess.Popen(
        command, env=environment, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.terminate()

    assert (line.startswith("listening on 127.0.0.1:"), int(line.rsplit(":", 1)[1]) > 0, process.returncode) == (
        True,
        True,
        0,
    )
