"""Each server answers in its own protocol, keeps what it was told across kill -9, and dies with a reason."""

from __future__ import annotations

import socket
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nats
import pymysql
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from sandbox.errors import PortTaken, ProcessDied, ServerMissing
from sandbox.ports import can_bind, free_port, free_ports, is_listening
from sandbox.servers import Server, plan_nats, start, start_mariadb, start_nats, start_redis, start_valkey
from sandbox.servers.base import packaged_program
from tests.support.servers import require_server

Keep = Callable[[Server], Server]


@pytest.fixture
def keep() -> Iterator[Keep]:
    """Servers handed to it are ended with the test."""
    kept: list[Server] = []

    def keep_one(server: Server) -> Server:
        kept.append(server)
        return server

    yield keep_one
    for server in kept:
        server.kill()


def start_any(name: str, folder: Path) -> Server:
    if name == "redis":
        require_server("redis-server")
    if name == "mariadb":
        require_server("mariadbd")
    starters: dict[str, Callable[[Path], Server]] = {
        "nats": start_nats,
        "valkey": start_valkey,
        "redis": start_redis,
        "mariadb": start_mariadb,
    }
    return starters[name](folder)


every_server = pytest.mark.parametrize("name", ["nats", "valkey", "redis", "mariadb"])


@every_server
def test_a_started_server_listens_on_its_port_and_a_stopped_one_does_not(name: str, tmp_path: Path, keep: Keep):
    server = keep(start_any(name, tmp_path))
    assert is_listening(server.port)
    assert server.stop()
    assert not is_listening(server.port)


@every_server
def test_only_the_owner_can_read_the_folder_and_its_secrets(name: str, tmp_path: Path, keep: Keep):
    folder = tmp_path / "server"
    server = keep(start_any(name, folder))

    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()}
    secret = {path for path in modes if server.plan.password in path.read_text("utf-8", "replace")}

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert secret
    assert {modes[path] for path in secret} == {0o600}
    assert server.plan.password not in repr(server.plan)


@every_server
def test_the_password_of_a_folder_outlives_its_server(name: str, tmp_path: Path, keep: Keep):
    first = keep(start_any(name, tmp_path))
    first.stop()

    assert keep(start_any(name, tmp_path)).plan.password == first.plan.password


@every_server
def test_a_server_that_cannot_start_says_why_with_its_log(name: str, tmp_path: Path, keep: Keep):
    server = keep(start_any(name, tmp_path))
    server.stop()
    [config] = [path for path in tmp_path.iterdir() if path.suffix in (".conf", ".cnf")]
    config.write_text(config.read_text() + "no-such-option=1\n")

    with pytest.raises(ProcessDied, match="no-such-option") as caught:
        start(server.plan)

    assert caught.value.exit_status not in (None, 0)
    assert caught.value.log_tail in str(caught.value)
    assert caught.value.hint


async def test_a_stream_survives_the_kill_of_nats(tmp_path: Path, keep: Keep):
    server = keep(start_nats(tmp_path, sync_interval="always"))
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(name="EVENTS", subjects=["events.>"])
    await client.jetstream().publish("events.send", b"kept")
    await client.close()
    server.kill()
    server.restart()
    client = await nats.connect(server.url)
    kept = await client.jetstream().get_msg("EVENTS", 1)
    await client.close()

    assert kept.data == b"kept"


def test_nats_refuses_a_wrong_password(tmp_path: Path, keep: Keep):
    server = keep(start_nats(tmp_path))
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as stranger, stranger.makefile("rb") as lines:
        lines.readline()
        stranger.sendall(b'CONNECT {"user": "heliograph", "pass": "wrong"}\r\nPING\r\n')

        assert b"Authorization Violation" in lines.readline()


@pytest.mark.parametrize("name", ["valkey", "redis"])
def test_redis_and_valkey_keep_their_data_and_never_evict(name: str, tmp_path: Path, keep: Keep):
    server = keep(start_any(name, tmp_path))
    with redis.Redis.from_url(server.url) as client:
        client.set("code", "kept")
    server.stop()
    server.restart()

    with redis.Redis.from_url(server.url) as client:
        assert client.get("code") == b"kept"
        assert client.config_get("appendfsync", "maxmemory-policy") == {
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
    with (
        redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_a_commit_survives_the_kill_of_mariadb(tmp_path: Path, keep: Keep):
    server = keep(start_any("mariadb", tmp_path))
    engine = create_engine(server.url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE fact (id INT PRIMARY KEY)"))
        connection.execute(text("INSERT INTO fact VALUES (7)"))
    server.kill()
    server.restart()

    with engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM fact")).scalar_one() == 7
        assert connection.execute(text("SELECT @@innodb_flush_log_at_trx_commit")).scalar_one() == 1


def test_only_the_admin_of_mariadb_may_make_it_read_only(tmp_path: Path, keep: Keep):
    server = keep(start_any("mariadb", tmp_path))
    with create_engine(server.admin_url, poolclass=NullPool).connect() as admin:
        admin.execute(text("SET GLOBAL read_only = 1"))

    with (
        create_engine(server.url, poolclass=NullPool).connect() as user,
        pytest.raises(OperationalError) as refused,
    ):
        user.execute(text("CREATE TABLE fact (id INT PRIMARY KEY)"))
    with pytest.raises(pymysql.err.OperationalError):
        pymysql.connect(host="127.0.0.1", port=server.port, user="root", password="")
    assert refused.value.orig is not None
    assert refused.value.orig.args[0] == 1290


def test_a_server_started_from_a_thread_outlives_that_thread(tmp_path: Path, keep: Keep):
    with ThreadPoolExecutor(1) as pool:
        server = keep(pool.submit(start_valkey, tmp_path).result())

    with redis.Redis.from_url(server.url) as client:
        assert client.ping()


def test_a_taken_port_is_named_before_anything_is_started(tmp_path: Path, keep: Keep):
    first = keep(start_nats(tmp_path / "one"))

    with pytest.raises(PortTaken, match=str(first.port)):
        start(plan_nats(tmp_path / "two", port=first.port))


def test_a_missing_program_says_how_to_install_it():
    with pytest.raises(ServerMissing) as caught:
        packaged_program("no-such-distribution", "no-such-program")

    assert "pip install no-such-distribution" in caught.value.hint


def test_free_ports_differ_and_can_be_bound():
    ports = free_ports(20)

    assert len(set(ports)) == 20
    assert all(can_bind(port) for port in ports)
    assert not is_listening(free_port())
