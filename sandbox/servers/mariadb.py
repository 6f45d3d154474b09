"""Debian's MariaDB on a private folder and loopback port, for tests: every commit on disk, small buffers, no service of the machine touched."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pymysql

from sandbox.children import Child, Process
from sandbox.errors import ProcessDied
from sandbox.ports import LOOPBACK, free_port
from sandbox.servers.base import (
    USER,
    Server,
    ServerPlan,
    kept_password,
    private_folder,
    quoted,
    start,
    system_program,
    write_private,
)

DATABASE = "heliograph"
ADMIN = "admin"
_HINT = "install it with: apt-get install mariadb-server"
_PING_SECONDS = 1
_INSTALL_SECONDS = 60
_LOG_FILE_SIZE = "32M"  # the default takes 96 MB of disk for every folder


def plan_mariadb(
    folder: Path, *, port: int | None = None, password: str | None = None, database: str = DATABASE
) -> ServerPlan:
    """Lays out the data folder if there is none (about a second).

    `url` is for a user who owns the database, `admin_url` for one who may do everything (`SET GLOBAL`, `ALTER USER`); same password.
    """
    folder = private_folder(folder)
    program = system_program("mariadbd", hint=_HINT)
    port = free_port() if port is None else port
    password = kept_password(folder, password)
    _install(folder)
    write_private(folder / "init.sql", _users_sql(password, database))
    write_private(folder / "my.cnf", _config(folder, port=port))
    secret = quote(password, safe="")
    return ServerPlan(
        name="mariadb",
        port=port,
        folder=folder,
        password=password,
        url=f"mysql+pymysql://{USER}:{secret}@{LOOPBACK}:{port}/{database}?charset=utf8mb4",
        admin_url=f"mysql+pymysql://{ADMIN}:{secret}@{LOOPBACK}:{port}/{database}?charset=utf8mb4",
        process=Process(
            name="mariadb",
            argv=[program, f"--defaults-file={folder / 'my.cnf'}", *_as_root()],
            is_ready=_ping(port, password, database),
            ports=[port],
            advice=f"its data is in {folder}: check that the disk has room, or remove the folder to start anew",
        ),
    )


def start_mariadb(
    folder: Path, *, port: int | None = None, password: str | None = None, database: str = DATABASE
) -> Server:
    """Start it and wait until its user can log in."""
    return start(plan_mariadb(folder, port=port, password=password, database=database))


def _install(folder: Path) -> None:
    """Laid out beside and then renamed: a run that was cut short leaves no half of a data folder."""
    if (folder / "data").exists():
        return
    fresh, log_path = folder / "data.new", folder / "install.log"
    shutil.rmtree(fresh, ignore_errors=True)
    argv = [
        system_program("mariadb-install-db", hint=_HINT),
        "--no-defaults",
        f"--datadir={fresh}",
        "--auth-root-authentication-method=socket",
        f"--auth-root-socket-user={getpass.getuser()}",
        "--skip-test-db",
        f"--innodb-log-file-size={_LOG_FILE_SIZE}",
        *_as_root(),
    ]
    # A server that starts deletes every temporary table it finds in its folder for them, those of its neighbours too.
    environ = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(argv, capture_output=True, timeout=_INSTALL_SECONDS, check=False, env=environ)
    if done.returncode != 0:
        log = (done.stdout + done.stderr).decode("utf-8", "replace")
        log_path.write_text(log, encoding="utf-8")
        raise ProcessDied(
            f"mariadb-install-db ended with exit status {done.returncode}",
            name="mariadb",
            log_path=log_path,
            log_tail="\n".join(log.splitlines()[-20:]),
            exit_status=done.returncode,
            hint="check that the folder can be written to and the disk has room",
        )
    fresh.rename(folder / "data")


def _as_root() -> list[str]:
    """It refuses to run as root unless told to."""
    return ["--user=root"] if os.geteuid() == 0 else []


def _config(folder: Path, *, port: int) -> str:
    # The socket is named relative to the data folder: an absolute path over 107 bytes, as in a test folder, is refused.
    return f"""\
[mariadbd]
datadir = {quoted(folder / "data")}
init-file = {quoted(folder / "init.sql")}
socket = server.sock
tmpdir = {quoted(folder)}
pid-file = server.pid
bind-address = {LOOPBACK}
port = {port}
skip-name-resolve
skip-log-bin
performance-schema = OFF
character-set-server = utf8mb4
collation-server = utf8mb4_bin
default-time-zone = "+00:00"
max-connections = 200
innodb-flush-log-at-trx-commit = 1
innodb-buffer-pool-size = 64M
innodb-log-file-size = {_LOG_FILE_SIZE}
key-buffer-size = 1M
aria-pagecache-buffer-size = 1M
"""


def _users_sql(password: str, database: str) -> str:
    """Run by the server at every start, before it lets anyone in; one statement a line, as it wants them."""
    literal = "'" + password.replace("\\", "\\\\").replace("'", "''") + "'"
    users = [f"'{name}'@'{host}'" for name in (USER, ADMIN) for host in (LOOPBACK, "localhost")]
    statements = [f"CREATE DATABASE IF NOT EXISTS `{database}`"]
    statements += [f"CREATE USER IF NOT EXISTS {user}" for user in users]
    statements += [f"ALTER USER {user} IDENTIFIED BY {literal}" for user in users]
    statements += [f"GRANT ALL ON `{database}`.* TO {user}" for user in users[:2]]
    statements += [f"GRANT ALL ON *.* TO {user} WITH GRANT OPTION" for user in users[2:]]
    return "".join(f"{statement};\n" for statement in statements)


def _ping(port: int, password: str, database: str) -> Callable[[Child], bool]:
    def check(_child: Child) -> bool:
        try:
            connection = pymysql.connect(
                host=LOOPBACK,
                port=port,
                user=USER,
                password=password,
                database=database,
                connect_timeout=_PING_SECONDS,
                read_timeout=_PING_SECONDS,
            )
        except pymysql.MySQLError:
            return False
        connection.close()
        return True

    return check
