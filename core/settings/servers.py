"""The servers that Heliograph works with, and what it does while they are down."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from core.settings.section import Section


class Store(Section):
    """The primary store: MySQL or MariaDB in production, SQLite where there is none."""

    url: SecretStr = Field(
        SecretStr("sqlite:///.heliograph/store.sqlite3"),
        description="SQLAlchemy address; `mysql+pymysql://user:password@host:port/database` for MySQL and MariaDB.",
    )
    connect_timeout_seconds: float = Field(2.0, gt=0, description="Longest wait for a connection.")
    read_timeout_seconds: float = Field(
        2.0, gt=0, description="Longest wait for an answer; a hung server counts as down."
    )
    lane_batch_max: int = Field(200, ge=1, le=5_000, description="Most writes that share one transaction.")
    retention_days: int = Field(
        400, ge=2, description="Age at which requests with all their facts are deleted; opt-outs and API keys stay."
    )
    lane_waiting_max: int = Field(
        5_000, ge=1, description="Most writes that may wait; beyond it callers are told to come back."
    )


class Mirror(Section):
    """Redis or Valkey: the mirror of living verifications, and the backup store."""

    url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), description="Address, with the password in it.")
    timeout_seconds: float = Field(1.0, gt=0, description="Longest wait for a connection or an answer.")


class Failover(Section):
    """When a store counts as down, and who says that it is well again."""

    window_seconds: float = Field(10.0, gt=0, description="Length of the sliding window over errors.")
    fatal_errors: int = Field(3, ge=1, description="Fatal errors within the window after which a store counts as down.")
    probe_seconds: float = Field(
        1.0, gt=0, description="Time between two probes of a store that is down; a probe writes."
    )
    automatic_recovery: bool = Field(
        False, description="Go back to a store that is well again without waiting for `heliograph failover recover`."
    )


class Queue(Section):
    """NATS JetStream."""

    url: SecretStr = Field(
        SecretStr("nats://127.0.0.1:4222"), description="Address; several, separated by commas, form a cluster."
    )
    timeout_seconds: float = Field(2.0, gt=0, description="Longest wait for JetStream to confirm a message.")
    replicas: int = Field(1, ge=1, le=5, description="Copies of each stream in a cluster.")
    retention_hours: float = Field(
        72.0, gt=0, description="How long a stream keeps a message that nobody took; what was taken leaves at once."
    )
    bytes_max: int = Field(4 * 1024**3, ge=1024**2, description="Size at which a stream refuses more.")


class Warehouse(Section):
    """ClickHouse, over HTTP."""

    host: str = Field("127.0.0.1", description="Host name.")
    port: int = Field(8123, ge=1, le=65_535, description="HTTP port.")
    username: str = Field("default", description="User.")
    password: SecretStr = Field(SecretStr(""), description="Password.")
    database: str = Field(
        "heliograph", pattern=r"^[A-Za-z_]\w{0,62}$", description="Database; created when it is not there."
    )
    secure: bool = Field(False, description="Use HTTPS.")
    connect_timeout_seconds: float = Field(3.0, gt=0, description="Longest wait for a connection.")
    query_timeout_seconds: float = Field(30.0, gt=0, description="Longest a query may take before it is given up.")
    cluster: str = Field(
        "",
        pattern=r"^([A-Za-z_][\w-]{0,62})?$",
        description="Cluster whose shards and replicas share the tables, by its name in ClickHouse; empty means one server.",
    )
    retention_days: int = Field(400, ge=1, description="Age at which attempts and events are dropped.")


class Journal(Section):
    """Files that hold what a store or the queue could not take."""

    folder: Path = Field(
        Path(".heliograph/journal"), description="Folder of the journal files; on a disk that survives the process."
    )
    file_bytes_max: int = Field(64 * 1024**2, ge=4096, description="Size at which a new file is begun.")
    total_bytes_max: int = Field(
        8 * 1024**3, ge=4096, description="Size of all files at which more is refused, before the disk is full."
    )


class Encryption(Section):
    """The HTTP service that encrypts numbers at rest."""

    url: str = Field("http://127.0.0.1:8400", description="Address.")
    token: SecretStr = Field(SecretStr(""), description="Bearer token.")
    timeout_seconds: float = Field(5.0, gt=0, description="Longest wait for an answer.")
    batch_max: int = Field(200, ge=1, le=1000, description="Most numbers in one call.")


class Mail(Section):
    """SMTP, for reports and alerts."""

    host: str = Field("127.0.0.1", description="Host name.")
    port: int = Field(25, ge=1, le=65_535, description="Port.")
    security: Literal["none", "starttls", "tls"] = Field("none", description="How the connection is protected.")
    username: str = Field("", description="User; empty means no sign-in.")
    password: SecretStr = Field(SecretStr(""), description="Password.")
    sender: str = Field("Heliograph <heliograph@localhost>", description="From.")
    recipients: list[str] = Field([], description="To.")
    timeout_seconds: float = Field(10.0, gt=0, description="Longest wait for the server.")
