"""Servers on loopback that need no root and no container: NATS and Valkey for everyone, MariaDB and Redis where the machine has them."""

from __future__ import annotations

from sandbox.servers.base import Server, ServerPlan, start, system_program
from sandbox.servers.mariadb import plan_mariadb, start_mariadb
from sandbox.servers.nats import plan_nats, start_nats
from sandbox.servers.valkey import plan_redis, plan_valkey, start_redis, start_valkey

__all__ = [
    "Server",
    "ServerPlan",
    "plan_mariadb",
    "plan_nats",
    "plan_redis",
    "plan_valkey",
    "start",
    "start_mariadb",
    "start_nats",
    "start_redis",
    "start_valkey",
    "system_program",
]
