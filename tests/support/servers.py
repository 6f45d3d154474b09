"""Real servers for tests: one that the machine lacks skips a test at a desk and fails it in CI, where green has to mean it ran."""

from __future__ import annotations

import os

import pytest

from sandbox.errors import ServerMissing
from sandbox.servers import system_program

_PACKAGES = {"mariadbd": "mariadb-server", "redis-server": "redis-server", "chromium": "chromium"}


def require_server(name: str) -> str:
    """The path of a program of this machine, such as `mariadbd`; skips the test without it, or fails it when CI is set."""
    try:
        return system_program(name, hint=f"install it with: apt-get install {_PACKAGES.get(name, name)}")
    except ServerMissing as missing:
        message = f"{missing}; {missing.hint}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
