"""Deployments: noted from a shell, kept beside what operators say, refused in words; nothing is quiet because of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from core.errors import BadInput, WarehouseUnavailable
from core.settings import load
from metrics.detection.cli import deployment as command
from metrics.detection.deployments import deployment, moment, note
from metrics.detection.words import Word, deployments_between, say, words_at
from tests.app.conftest import environment

NOW = datetime(2026, 3, 2, 14, tzinfo=UTC)
LONG = timedelta(days=365)


def noted(warehouse) -> list[Word]:
    return list(deployments_between(warehouse, datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + LONG))


@pytest.fixture
def run(warehouse, warehouse_settings, tmp_path):
    def invoke(*arguments: str) -> Result:
        file = tmp_path / "heliograph.toml"
        file.touch()
        env = {**environment(warehouse_settings), "HELIOGRAPH_CONFIG": str(file)}
        return CliRunner(env=env).invoke(command, arguments)

    return invoke


def test_a_pipeline_notes_what_it_deployed_when_and_of_what(run, warehouse):
    result = run("checkout 4.2\n\nand more", "--at", "2026-03-02T15:00+01:00", "--app", "checkout", "--app", "new one", "--by", "ci")  # fmt: skip

    (said,) = noted(warehouse)
    assert result.output == (
        "Noted: checkout 4.2 and more, from checkout and new one, at 2026-03-02 14:00:00 UTC, by ci.\n"
    )
    assert (said.kind, said.text, said.start, said.said_by) == ("deployment", "checkout 4.2 and more", NOW, "ci")
    assert said.scope == {"app": ("checkout", "new one")}


def test_without_more_it_was_now_everywhere_and_by_whoever_runs_it(run, warehouse):
    begun = datetime.now(UTC) - timedelta(milliseconds=1)

    result = run("checkout 4.2")

    (said,) = noted(warehouse)
    assert "everywhere" in result.output
    assert begun <= said.start <= datetime.now(UTC)
    assert said.said_by


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([" "], "say what was deployed"),
        (["x" * 2_001], "at most 2000 characters"),
        (["x", "--at", "yesterday"], "'yesterday' is no time"),
        (["x", "--at", ""], "'' is no time"),
        (["x", "--at", "1970-01-01"], "cannot be noted"),
        (["x", "--at", "2999-01-01"], "cannot be noted"),
        (["x", "--at", "0001-01-01T00:00+05:00"], "is no time"),
        (["x", "--provider", ""], "the provider of a deployment is empty"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_nothing_is_noted(run, warehouse, arguments: list[str], told: str):
    result = run(*arguments)

    assert isinstance(result.exception, BadInput)
    assert told in str(result.exception)
    assert noted(warehouse) == []


def test_a_warehouse_that_is_away_is_told(tmp_path):
    (tmp_path / "heliograph.toml").write_text("[warehouse]\nport = 1\nconnect_timeout_seconds = 1\n")

    with pytest.raises(WarehouseUnavailable):
        note(load({}, tmp_path / "heliograph.toml"), "checkout 4.2", at=None, scope={}, by="ci")


def test_the_first_to_write_makes_the_tables(warehouse, run):
    for table in ("operator_words", "schema_migrations"):
        warehouse.command(f"DROP TABLE {table}")

    assert run("checkout 4.2").exit_code == 0
    assert len(noted(warehouse)) == 1


def test_a_time_without_a_zone_is_in_utc():
    assert moment("2026-03-02 14:00") == moment("2026-03-02T14:00Z") == moment("2026-03-02T22:00+08:00") == NOW


def test_a_deployment_keeps_nothing_quiet_and_can_be_withdrawn(warehouse):
    word = deployment("checkout 4.2", at=NOW, scope={}, said_by="ci", now=NOW)
    said = say(warehouse, word, now=NOW)

    assert not said.quiets(incident_id="x", scope={}, at=NOW)
    assert words_at(warehouse, NOW) == []
    assert len(noted(warehouse)) == 1

    say(warehouse, Word("withdrawn", "ops", refers_to=said.id), now=NOW)
    assert noted(warehouse) == []
    assert deployments_between(warehouse, NOW - LONG, NOW) == []
