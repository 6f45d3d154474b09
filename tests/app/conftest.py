"""A dashboard to look at: in this process for its logic, or as the real server for a browser."""

from __future__ import annotations

import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import pytest
import streamlit as st

from app.cli import arguments
from core.settings.servers import Warehouse as WarehouseSettings
from sandbox.ports import free_port
from tests.app.looking import Pages

_READY_SECONDS = 60
HASH_KEY = "hash, a secret of the tests, long enough"


def environment(settings: WarehouseSettings) -> dict[str, str]:
    """The settings of a warehouse as the programs read them."""
    return {
        "HELIOGRAPH_WAREHOUSE_HOST": settings.host,
        "HELIOGRAPH_WAREHOUSE_PORT": str(settings.port),
        "HELIOGRAPH_WAREHOUSE_USERNAME": settings.username,
        "HELIOGRAPH_WAREHOUSE_PASSWORD": settings.password.get_secret_value(),
        "HELIOGRAPH_WAREHOUSE_DATABASE": settings.database,
        "HELIOGRAPH_WAREHOUSE_CONNECT_TIMEOUT_SECONDS": "2",
    }


def of_dashboard(**settings: str) -> dict[str, str]:
    """Settings of [dashboard] as the programs read them."""
    return {f"HELIOGRAPH_DASHBOARD_{name.upper()}": value for name, value in settings.items()}


@dataclass
class Dashboard:
    """A running server."""

    url: str


@contextmanager
def running(settings: WarehouseSettings, folder: Path, *, sign_in_file: str = "", **more: str) -> Iterator[Dashboard]:
    """The dashboard over a warehouse, in a folder without settings of its own, which looks up numbers; `more` are settings of
    [dashboard]."""
    port = free_port()
    with (folder / "dashboard.log").open("wb") as log:
        process = subprocess.Popen(
            arguments("127.0.0.1", port, sign_in_file=sign_in_file),
            cwd=folder,
            env={
                **os.environ,
                **environment(settings),
                "HELIOGRAPH_NUMBERS_HASH_KEY": HASH_KEY,
                **of_dashboard(sign_in_file=sign_in_file, **more),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: _answers(url), what=(folder / "dashboard.log").read_text)
            yield Dashboard(url)
        finally:
            process.terminate()
            process.wait(timeout=30)


def until(happened: Callable[[], bool], *, what: Callable[[], str]) -> None:
    """Wait for something to happen."""
    deadline = monotonic() + _READY_SECONDS
    while not happened():
        if monotonic() > deadline:
            pytest.fail(f"did not come: {what()}")
        sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@pytest.fixture
def pages(warehouse_settings: WarehouseSettings) -> Iterator[Pages]:
    """Pages over the test's warehouse, and nothing remembered of the test before."""
    yield Pages(environment(warehouse_settings))
    st.cache_data.clear()
    st.cache_resource.clear()
