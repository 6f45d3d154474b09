"""Starting the service: what is missing is named, with where and what to do; what may be absent is done without.
Ending it: nothing is left undone."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from core.errors import ConfigurationError, StoreUnavailable
from core.journal import closed_files
from core.settings import Settings, sending, servers
from sandbox.children import launch, wait_until_ready
from sandbox.stack import Ports, lay_out
from service.aftermath import FILE
from service.assembly import require_secrets
from service.key_chores import create_key
from service.main import serve
from service.opening import open_store
from service.publisher import EVENTS_FOLDER
from tests.support.house import make_settings
from tests.support.providers import a_number
from tests.support.until import until

NOBODY = "127.0.0.1:1"


def settings_of(folder: Path, **sections: object) -> Settings:
    sqlite = servers.Store(url=SecretStr(f"sqlite:///{folder}/store.sqlite3"))
    absent = {
        "store": sqlite,
        "mirror": servers.Mirror(url=SecretStr(f"redis://{NOBODY}/0"), timeout_seconds=0.2),
        "queue": servers.Queue(url=SecretStr(f"nats://{NOBODY}"), timeout_seconds=0.2),
    }
    made = make_settings(folder, api={"port": 0})
    return made.model_copy(update=absent | sections)


def test_missing_secrets_are_all_named_with_what_makes_them():
    with pytest.raises(
        ConfigurationError, match=r"code\.secret, numbers\.hash_key, numbers\.seal_key, api\.key_secret"
    ) as told:
        require_secrets(Settings())

    assert "heliograph init" in told.value.hint


async def test_an_unreachable_store_is_named_with_where_and_what_to_do(tmp_path: Path):
    store = servers.Store(
        url=SecretStr(f"mysql+pymysql://someone:hush@{NOBODY}/heliograph"), connect_timeout_seconds=0.2
    )
    with pytest.raises(StoreUnavailable, match=NOBODY) as told:
        await open_store(settings_of(tmp_path, store=store))

    assert "[store] url" in told.value.hint
    assert "hush" not in str(told.value) + told.value.hint


async def test_a_store_that_is_known_to_be_down_stops_no_start(tmp_path: Path):
    settings = settings_of(tmp_path)
    store = await open_store(settings)
    await store.set("mysql_fatal", reason="a test")
    await store.close()
    gone = servers.Store(url=SecretStr(f"mysql+pymysql://someone@{NOBODY}/heliograph"), connect_timeout_seconds=0.2)
    again = await open_store(settings.model_copy(update={"store": gone}))
    status = again.describe()["status"]
    await again.close()

    assert status in ("mysql_fatal", "both_fatal")


async def test_a_port_that_is_taken_is_named(tmp_path: Path):
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = make_settings(tmp_path, api={"port": port})
    with pytest.raises(ConfigurationError, match=str(port)):
        await serve(settings_of(tmp_path, api=made.api))
    server.close()
    await server.wait_closed()


async def test_it_serves_with_the_primary_store_alone(tmp_path: Path):
    """Mirror, queue and providers are absent."""
    row = sending.Provider(
        name="aurora", kind="aurora", url=f"http://{NOBODY}", account="a", secret=SecretStr("s" * 32)
    )
    settings = settings_of(tmp_path, providers=[row])
    key, _ = await create_key(settings, app="shop", scopes=frozenset({"send"}), label="")
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ending = asyncio.Event()
    serving = asyncio.create_task(serve(settings, on_ready=address.set_result, on_ending=ending.set))
    try:
        async with asyncio.timeout(20), aiohttp.ClientSession() as session:
            base = await address
            headers = {"Authorization": f"Bearer {key}"}
            async with session.get(f"{base}/readyz") as ready:
                assert ready.status == 200
            async with session.post(f"{base}/v1/verifications", json={}, headers=headers) as answer:
                assert answer.status == 422
    finally:
        assert not ending.is_set()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    assert ending.is_set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_status_0_once_what_was_told_is_published(
    tmp_path: Path, nats_url: str, number: signal.Signals
):
    absent = {"queue": {"url": nats_url}, "mirror": {"url": f"redis://{NOBODY}/0", "timeout_seconds": 0.2}}
    stack = lay_out(tmp_path, Ports.pick(), changes=absent)
    key, _ = await create_key(stack.settings, app="shop", scopes=frozenset({"send"}), label="")
    process = launch(stack.plan_service(), tmp_path)
    try:
        await asyncio.to_thread(wait_until_ready, process)
        with socket.create_connection(("127.0.0.1", stack.ports.api)):  # which asks nothing, and holds up nothing
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
                wish = {"to": a_number(), "purpose": "login"}
                async with session.post(f"{stack.api_url}/v1/verifications", json=wish) as answer:
                    assert answer.status == 502  # the providers are absent, too
            process.send_signal(number)
            await until(lambda: process.exit_status is not None)
    finally:
        process.kill()

    assert process.exit_status == 0, process.log_tail()
    assert json.loads((stack.settings.journal.folder / FILE).read_bytes())["alive_at"] is None
    assert list(closed_files(stack.settings.journal.folder / EVENTS_FOLDER)) == []
