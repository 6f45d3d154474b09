"""The embedded stack: every server the product talks to and every program of the product, on loopback, in one folder.

`Stack` lays it out (folders, ports, secrets, one settings file); its `plan_*` methods say how each process is run. Who
starts them, and in which order, is decided by the demo and by the smoke test.
"""

from __future__ import annotations

import json
import secrets
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.chores import fresh_secrets
from core.settings import CONFIG_VARIABLE, Settings, load
from sandbox.children import Child, Process, http_answers, log_shows
from sandbox.encryption import TOKEN_VARIABLE
from sandbox.gateway.launch import plan_gateway
from sandbox.ports import LOOPBACK, free_ports
from sandbox.providers import Stand
from sandbox.servers import ServerPlan, plan_nats, plan_valkey
from sandbox.servers.base import write_private
from sandbox.world import PROVIDER_WEIGHTS, PROVIDERS, TEXTS
from sandbox.world.prices import CURRENCY, PRICES

Tables = dict[str, Any]


@dataclass(frozen=True)
class Ports:
    """Where people look (chosen by them) and where only programs meet (free ones)."""

    api: int
    dashboard: int
    mailbox: int
    smtp: int
    encryption: int
    valkey: int
    nats: int
    clickhouse: int
    providers: Mapping[str, int]

    @classmethod
    def pick(cls, *, api: int = 0, dashboard: int = 0, mailbox: int = 0) -> Ports:
        """Free ports for all that are 0: drawn at once, so that no two are the same."""
        free = iter(free_ports(8 + len(PROVIDERS)))
        return cls(
            api=api or next(free),
            dashboard=dashboard or next(free),
            mailbox=mailbox or next(free),
            smtp=next(free),
            encryption=next(free),
            valkey=next(free),
            nats=next(free),
            clickhouse=next(free),
            providers={name: next(free) for name in PROVIDERS},
        )


@dataclass(frozen=True)
class Stack:
    """A laid-out stack. `settings` is what the settings file says; secrets in it are kept across starts."""

    folder: Path
    ports: Ports
    servers: Sequence[ServerPlan]
    settings: Settings
    stands: Sequence[Stand] = field(repr=False)

    @property
    def config(self) -> Path:
        """The settings file that every program of the stack reads."""
        return self.folder / "heliograph.toml"

    @property
    def api_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.api}"

    @property
    def dashboard_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.dashboard}"

    @property
    def mailbox_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.mailbox}"

    def plan_encryption(self) -> Process:
        """The encryption service."""
        port = self.ports.encryption
        return Process(
            name="encryption",
            argv=_module("sandbox.encryption", "--port", port, "--key-file", self.folder / "encryption.key"),
            is_ready=http_answers(f"http://{LOOPBACK}:{port}/healthz"),
            env={TOKEN_VARIABLE: self.settings.encryption.token.get_secret_value()},
            ports=[port],
        )

    def plan_mailbox(self) -> Process:
        """The SMTP sink and its page."""
        ports = self.ports
        options = ("--smtp-port", ports.smtp, "--http-port", ports.mailbox, "--folder", self.folder / "mails")
        return Process(
            name="mailbox",
            argv=_module("sandbox.mailbox", *options),
            is_ready=http_answers(f"{self.mailbox_url}/healthz"),
            ports=[ports.smtp, ports.mailbox],
        )

    def plan_program(self, name: str, *arguments: str, is_ready: Callable[[Child], bool], port: int = 0) -> Process:
        """A program of the product, by its subcommand."""
        return Process(
            name=name,
            argv=_module("core", name, *arguments),
            is_ready=is_ready,
            env={CONFIG_VARIABLE: str(self.config), "PYTHONUNBUFFERED": "1"},
            ports=[port] if port else [],
            advice=f"the settings of this run are in {self.config}",
        )

    def plan_service(self) -> Process:
        """The API."""
        return self.plan_program("service", is_ready=http_answers(f"{self.api_url}/readyz"), port=self.ports.api)

    def plan_encryptor(self) -> Process:
        """The encryption worker."""
        return self.plan_program("encryptor", is_ready=log_shows("encryptor works"))

    def plan_ingester(self) -> Process:
        """The queue's way into the warehouse."""
        return self.plan_program("ingester", is_ready=log_shows("ingest runs"))

    def plan_dashboard(self) -> Process:
        """The dashboard."""
        port = self.ports.dashboard
        is_ready = http_answers(f"{self.dashboard_url}/_stcore/health")
        return self.plan_program("dashboard", "--port", str(port), is_ready=is_ready, port=port)

    def plan_scheduler(self) -> Process:
        """The daily report; `--now` sends yesterday's at once when it was not sent yet."""
        return self.plan_program("scheduler", "--now", is_ready=log_shows("scheduler runs"))


def lay_out(
    folder: Path, ports: Ports, *, store_url: str = "", changes: Mapping[str, Mapping[str, Any]] | None = None
) -> Stack:
    """Prepare `folder`: servers, secrets, settings. Nothing is started. What an earlier run left there is used again.

    `store_url` names another primary store than SQLite in the folder; `changes` are laid over the settings.
    """
    folder = folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    servers = (
        plan_valkey(folder / "valkey", port=ports.valkey),
        plan_nats(folder / "nats", port=ports.nats),
        plan_gateway(folder / "clickhouse", port=ports.clickhouse),
    )
    stands = [
        Stand(kind=name, port=ports.providers[name], account="heliograph", secret=secrets.token_urlsafe(32))
        for name in PROVIDERS
    ]
    tables = _tables(folder, ports, servers, stands, store_url)
    for section, values in (changes or {}).items():
        tables.setdefault(section, {}).update(values)
    write_private(folder / "heliograph.toml", "# Written at every start.\n" + to_toml(tables))
    return Stack(folder, ports, servers, load({}, folder / "heliograph.toml"), stands)


def _tables(
    folder: Path, ports: Ports, servers: Sequence[ServerPlan], stands: Sequence[Stand], store_url: str
) -> Tables:
    valkey, nats, clickhouse = servers
    kept = _kept_secrets(folder)
    tables: Tables = {
        "store": {"url": store_url or f"sqlite:///{folder / 'store.sqlite3'}"},
        "mirror": {"url": valkey.url},
        "queue": {"url": nats.url},
        "warehouse": {"port": clickhouse.port, "password": clickhouse.password},
        "journal": {"folder": str(folder / "journal")},
        "encryption": {"url": f"http://{LOOPBACK}:{ports.encryption}"},
        "api": {"port": ports.api},
        "alerts": {"folder": str(folder / "alerts")},
        "mail": {"port": ports.smtp, "recipients": ["operators@heliograph.example"]},
        "reports": {"folder": str(folder / "reports"), "dashboard_url": f"http://{LOOPBACK}:{ports.dashboard}"},
        "dashboard": {"currency": CURRENCY},
        "providers": [_provider(stand) for stand in stands],
        "prices": [
            {"provider": provider, "country": country, "per_part": price}
            for (provider, country), price in PRICES.items()
        ],
        "templates": [
            {"name": text.name, "locale": locale, "text": words}
            for text in TEXTS
            for locale, words in text.locales.items()
        ],
    }
    for section, values in kept.items():
        tables.setdefault(section, {}).update(values)
    return tables


def _provider(stand: Stand) -> Tables:
    return {
        "name": stand.kind,
        "kind": stand.kind,
        "url": f"http://{LOOPBACK}:{stand.port}",
        "account": stand.account,
        "secret": stand.secret,
        "weight": PROVIDER_WEIGHTS[stand.kind],
    }


def _kept_secrets(folder: Path) -> Tables:
    """Secrets live as long as the data they protect: drawn once a folder."""
    path = folder / "secrets.toml"
    if not path.exists():
        write_private(path, fresh_secrets() + f'\n[encryption]\ntoken = "{secrets.token_urlsafe(32)}"\n')
    return tomllib.loads(path.read_text(encoding="utf-8"))


def to_toml(tables: Tables) -> str:
    """Tables and arrays of tables of plain values as TOML; strings are written as JSON writes them, which TOML reads."""
    parts = []
    for name, value in tables.items():
        for row in value if isinstance(value, list) else [value]:
            title = f"[[{name}]]" if isinstance(value, list) else f"[{name}]"
            lines = (f"{key} = {json.dumps(item, ensure_ascii=False)}" for key, item in row.items())
            parts.append("\n".join((title, *lines)))
    return "\n\n".join(parts) + "\n"


def _module(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", name, *map(str, arguments)]
