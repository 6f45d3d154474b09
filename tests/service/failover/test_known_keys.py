"""The keys of an instance outlive its process: written whole or not at all, and tried again after a disk took nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.failover.known_keys import FILE, KnownKeys
from service.keys import new_key
from tests.support.house import NOW


async def test_a_write_that_fails_leaves_nothing_behind_and_is_made_up_for(tmp_path: Path):
    _, key = new_key(app="shop", scopes=frozenset({"send"}), label="", secret="a secret of the tests", now=NOW)
    keys = KnownKeys(tmp_path, clock=lambda: NOW)
    keys.learn(key)
    (tmp_path / FILE).mkdir()  # where the file should go
    for _ in range(2):
        with pytest.raises(IsADirectoryError):
            await keys.save()

    assert os.listdir(tmp_path) == [FILE]

    (tmp_path / FILE).rmdir()
    await keys.save()
    after = KnownKeys(tmp_path, clock=lambda: NOW)
    after.load()

    assert after.get(key.key_hash) == key
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
