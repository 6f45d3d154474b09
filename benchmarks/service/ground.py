"""What a comparison stands on: real servers in a folder, a settings file for each side, processes, and calls to make."""

from __future__ import annotations

import os
import sys
import tomllib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
import phonenumbers
from sqlalchemy import Engine, create_engine, insert

from benchmarks.service.load import post
from benchmarks.service.plain import KEY_VARIABLE
from core.chores import fresh_secrets
from core.clock import utc_now
from core.ids import RequestIds
from core.settings import CONFIG_VARIABLE, Settings, load
from sandbox.children import Child, Process, http_answers, launch, tcp_answers, wait_until_ready
from sandbox.ports import LOOPBACK, free_port, free_ports
from sandbox.servers import Server, start_mariadb, start_nats, start_valkey
from sandbox.servers.base import write_private
from sandbox.stack import to_toml
from sandbox.world.places import COUNTRIES, areas, make_number
from service.codes import Codes
from service.facts import Attempt, AttemptOutcome, Fact, Request
from service.keys import new_key
from service.stores import schema

APP = "benchmark"
PURPOSE = "login"
_SEED = 20_261_125
_MIRROR_MB = 4096
_ROWS_AT_ONCE = 500
_PREPARED_AHEAD = timedelta(hours=1)
"""What was prepared in one round and is left over is used in the next: it must not have expired by then."""
_HANDED_OUT_DIGITS = 3
"""Of a national number: what follows is drawn anew, so that no cache by prefix is flattered by the sandbox's few."""


@dataclass(frozen=True)
class Side:
    """One of the two: its processes, and what its calls need."""

    name: str
    settings: Settings
    key: str
    children: Sequence[Child]
    ports: Sequence[int]

    def headers(self) -> list[str]:
        """Of every call."""
        return [f"Authorization: Bearer {self.key}"]

    def cpu_seconds(self) -> float:
        """Processor time of its processes so far."""
        return sum(_cpu_seconds(child.pid) for child in self.children)


class Ground:
    """Servers and sides; everything ends when the block does."""

    def __init__(self, folder: Path, *, processes: int) -> None:
        self.folder = folder
        self.processes = processes
        self._ending = ExitStack()
        self.numbers = _numbers(_SEED)

    def __enter__(self) -> Ground:
        try:
            self.mariadb = self._kept(start_mariadb(self.folder / "mariadb"))
            self.valkey = self._kept(start_valkey(self.folder / "valkey", max_memory_mb=_MIRROR_MB))
            self.nats = self._kept(start_nats(self.folder / "nats"))
            self.provider_port = free_port()
            argv = module("benchmarks.service.simulator", str(self.provider_port))
            self.provider = self.start("provider", argv, port=self.provider_port, env={})
        except BaseException:
            self._ending.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def database(self, name: str) -> str:
        """The address of a database of its own on the one server."""
        engine = create_engine(self.mariadb.admin_url)
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4")
        engine.dispose()
        return self.mariadb.admin_url.replace("/heliograph?", f"/{name}?")

    def side(self, name: str, *, profiler: Sequence[str] = ()) -> Side:
        """Start the service or its rival, each on a database of its own with the same tables."""
        url = self.database(name)
        settings, config = self._settings(name, url)
        secret = settings.api.key_secret.get_secret_value()
        key, fact = new_key(app=APP, scopes=frozenset({"send"}), label="", secret=secret, now=utc_now())
        engine = create_engine(url)
        schema.metadata.create_all(engine)
        _insert(engine, [fact])
        engine.dispose()
        env = {CONFIG_VARIABLE: str(config), KEY_VARIABLE: fact.key_hash}
        ports = free_ports(self.processes)
        start = self._start_service if name == "service" else self._start_plain
        return Side(name, settings, key, [start(port, env, profiler) for port in ports], ports)

    def cpu_seconds(self, side: Side) -> dict[str, float]:
        """Processor time so far, by process that a call of this side passes through."""
        servers = {"MariaDB": self.mariadb.pid, "Valkey": self.valkey.pid, "NATS": self.nats.pid}
        others = {"simulator of providers": self.provider.pid, "load generator": os.getpid()}
        pids = servers | others
        return {side.name: side.cpu_seconds()} | {name: _cpu_seconds(pid) for name, pid in pids.items()}

    def start(self, name: str, argv: Sequence[str], *, port: int, env: Mapping[str, str], ready: str = "") -> Child:
        """Run a program until the block ends; it is ready when `ready` (a path) answers, or else when it listens."""
        is_ready = http_answers(f"http://{LOOPBACK}:{port}{ready}") if ready else tcp_answers(port)
        child = launch(Process(name=name, argv=argv, is_ready=is_ready, env=env, ports=[port]), self.folder)
        self._ending.callback(child.stop)
        wait_until_ready(child)
        return child

    def _start_service(self, port: int, env: Mapping[str, str], before: Sequence[str]) -> Child:
        journal = str(self.folder / f"journal-{port}")
        own = {**env, "HELIOGRAPH_API_PORT": str(port), "HELIOGRAPH_JOURNAL_FOLDER": journal}
        return self.start(f"service-{port}", [*before, *module("core", "service")], port=port, env=own, ready="/readyz")

    def _start_plain(self, port: int, env: Mapping[str, str], before: Sequence[str]) -> Child:
        argv = [*before, *module("benchmarks.service.plain", str(port))]
        return self.start(f"plain-{port}", argv, port=port, env=env)

    def _settings(self, name: str, store_url: str) -> tuple[Settings, Path]:
        provider = {
            "name": "aurora",
            "kind": "aurora",
            "url": f"http://{LOOPBACK}:{self.provider_port}",
            "account": "heliograph",
            "secret": uuid4().hex,
        }
        tables: dict[str, Any] = {
            "store": {"url": store_url},
            "mirror": {"url": self.valkey.url},
            "queue": {"url": self.nats.url},
            "providers": [provider],
        }
        for section, values in tomllib.loads(fresh_secrets()).items():
            tables.setdefault(section, {}).update(values)
        path = self.folder / f"{name}.toml"
        write_private(path, to_toml(tables))
        return load({}, path), path

    def _kept(self, server: Server) -> Server:
        self._ending.callback(server.stop)
        return server


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def module(name: str, *arguments: str) -> list[str]:
    """How to run a module of ours."""
    return [sys.executable, "-m", name, *arguments]


class Calls:
    """The calls of one side, prepared before they are counted; what is left over is used the next time."""

    def __init__(self, side: Side, numbers: Iterator[str], *, idempotent: bool) -> None:
        self._side = side
        self._numbers = numbers
        self._idempotent = idempotent
        self._codes = Codes(side.settings.code.secret.get_secret_value(), length=side.settings.code.length)
        self._ids = RequestIds(utc_now)
        self.sends: deque[bytes] = deque()
        self.checks: deque[bytes] = deque()

    def prepare_sends(self, count: int) -> deque[bytes]:
        """At least `count` calls, each to a number that had no message yet."""
        while len(self.sends) < count:
            body = msgspec.json.encode({"to": next(self._numbers), "purpose": PURPOSE, "locale": "en"})
            key = [f"Idempotency-Key: {uuid4()}"] if self._idempotent else []
            self.sends.append(post("/v1/verifications", body, headers=[*self._side.headers(), *key]))
        return self.sends

    def prepare_checks(self, count: int) -> deque[bytes]:
        """At least `count` calls, each with the right code of a verification of its own, whose facts are in the store."""
        engine = create_engine(self._side.settings.store.url.get_secret_value())
        while len(self.checks) < count:
            facts = [self._sent() for _ in range(_ROWS_AT_ONCE)]
            _insert(engine, [request for request, _, _ in facts])
            _insert(engine, [attempt for _, attempt, _ in facts])
            _insert(engine, [outcome for _, _, outcome in facts])
            self.checks.extend(self._check(request) for request, _, _ in facts)
        engine.dispose()
        return self.checks

    def _check(self, request: Request) -> bytes:
        code = self._codes.code(request.id, 1, app=request.app)
        path = f"/v1/verifications/{request.id}/check"
        return post(path, msgspec.json.encode({"code": code}), headers=self._side.headers())

    def _sent(self) -> tuple[Request, Attempt, AttemptOutcome]:
        now, request_id, phone_hash = utc_now(), self._ids(), uuid4().hex
        request = Request(
            id=request_id,
            at=now,
            kind="verification",
            category="code",
            app=APP,
            purpose=PURPOSE,
            template="code",
            locale="en",
            phone_hash=phone_hash,
            country="DE",
            region="",
            carrier="",
            expires_at=now + _PREPARED_AHEAD,
        )
        attempt = Attempt(
            request_id=request_id, attempt=1, at=now, provider="aurora", cause="first", phone_hash=phone_hash
        )
        outcome = AttemptOutcome(request_id=request_id, attempt=1, at=now, outcome="accepted", provider_reference="SM1")
        return request, attempt, outcome


def _insert(engine: Engine, facts: Sequence[Fact]) -> None:
    with engine.begin() as connection:
        connection.execute(insert(schema.TABLES[type(facts[0])]), [schema.row_of(fact) for fact in facts])  # type: ignore[arg-type]


def _numbers(seed: int) -> Iterator[str]:
    """Valid mobile numbers of eight countries by their traffic, none twice, always the same ones."""
    rng = np.random.default_rng(seed)
    places = areas()
    weights = np.array([area.weight for area in places])
    seen: set[str] = set()
    while True:
        for index in rng.choice(len(places), size=1000, p=weights / weights.sum()):
            area = places[index]
            number = make_number(rng, area.country, area.carrier, area.region)
            kept = 1 + len(COUNTRIES[area.country].calling_code) + _HANDED_OUT_DIGITS
            number = number[:kept] + "".join(map(str, rng.integers(10, size=len(number) - kept)))
            if number not in seen and _takes_messages(number):
                seen.add(number)
                yield number


def _takes_messages(number: str) -> bool:
    parsed = phonenumbers.parse(number)
    mobile = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)
    return phonenumbers.is_valid_number(parsed) and phonenumbers.number_type(parsed) in mobile
