"""The command: every subcommand has help, and an error is a line with what to do."""

import os
import stat
import subprocess
import sys

import pytest
from click.testing import CliRunner

from core.cli import SECTIONS, heliograph
from core.settings import load


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "core", *arguments], capture_output=True, text=True, check=False, timeout=60, **options
    )


def test_help_shows_every_command_with_its_sentence():
    shown = CliRunner().invoke(heliograph, ["--help"]).output

    for name in {name for names in SECTIONS.values() for name in names}:
        line = next(line for line in shown.splitlines() if line.strip().startswith(f"{name} "))
        assert len(line.split(maxsplit=1)[1]) > 10


@pytest.mark.parametrize("name", sorted({name for names in SECTIONS.values() for name in names}))
def test_every_command_answers_help(name):
    result = CliRunner().invoke(heliograph, [name, "--help"])

    assert result.exit_code == 0
    assert "Usage" in result.output


def test_a_wrong_setting_is_one_line_with_what_to_do_and_no_traceback(tmp_path):
    ended = run("service", cwd=tmp_path, env=os.environ | {"HELIOGRAPH_STORE_LANE_BATCH_MX": "1"})

    assert ended.returncode == 1
    assert "did you mean HELIOGRAPH_STORE_LANE_BATCH_MAX" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_that_is_not_there_is_named_with_what_to_do(tmp_path):
    ended = run("ingester", cwd=tmp_path, env=os.environ | {"HELIOGRAPH_WAREHOUSE_PORT": "1"})

    assert ended.returncode == 1
    assert "127.0.0.1:1" in ended.stderr
    assert "[warehouse]" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_init_writes_secrets_that_load_and_only_the_owner_reads(tmp_path):
    path = tmp_path / "heliograph.toml"
    first = CliRunner().invoke(heliograph, ["init", "--path", str(path)])
    settings = load({}, path)

    assert first.exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (
        len(
            {
                s.get_secret_value()
                for s in (
                    settings.code.secret,
                    settings.numbers.hash_key,
                    settings.numbers.seal_key,
                    settings.api.key_secret,
                )
            }
        )
        == 4
    )


def test_init_says_where_it_cannot_write(tmp_path):
    ended = run("init", "--path", "conf/heliograph.toml", cwd=tmp_path)

    assert ended.returncode == 1
    assert "conf/heliograph.toml cannot be written: No such file or directory" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_init_leaves_a_file_that_is_there_alone(tmp_path):
    (tmp_path / "heliograph.toml").write_text("kept")
    ended = run("init", cwd=tmp_path)

    assert ended.returncode == 1
    assert "left alone" in ended.stderr
    assert (tmp_path / "heliograph.toml").read_text() == "kept"
