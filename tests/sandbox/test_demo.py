"""The demo's folder: begun anew only when nobody works in it, and nothing of somebody's own is removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.demo import Wishes, begin_anew, run
from sandbox.errors import FolderInUse
from sandbox.stack import Ports
from sandbox.supervisor import Supervisor


def test_a_folder_in_use_is_not_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "secrets.toml").write_text("kept")
    wishes = Wishes(tmp_path, fresh=True, fault="", api_port=0, dashboard_port=0, mailbox_port=0)
    with Supervisor(tmp_path), pytest.raises(FolderInUse):
        run(wishes)

    assert (tmp_path / "secrets.toml").read_text() == "kept"


def test_what_an_earlier_demo_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (
        "secrets.toml",
        "store.sqlite3",
        "store.sqlite3-wal",
        "clickhouse/data/part",
        "thesis.odt",
        "mine/notes",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    begin_anew(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "thesis.odt"]


def test_no_two_servers_are_given_one_port() -> None:
    ports = Ports.pick(api=8080)
    drawn = [ports.api, ports.dashboard, ports.mailbox, ports.smtp, ports.encryption]
    drawn += [ports.valkey, ports.nats, ports.clickhouse, *ports.providers.values()]

    assert len(set(drawn)) == len(drawn)
