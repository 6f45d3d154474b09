"""A drill on disk: events that ingest reads, which tell what the frame holds, and labels that say what was done."""

from __future__ import annotations

from collections import Counter
from datetime import UTC
from pathlib import Path

import msgspec
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from core.events import AnyEvent, Receipt, Send, Verify, from_row
from core.ids import time_of
from sandbox.cli import drill as command
from sandbox.drills import Drill, Label
from sandbox.drills.files import write_drill


@pytest.fixture(scope="module")
def drill() -> Drill:
    return Drill(2, rate_per_minute=8, baseline_days=1, test_days=1, faults=1)


@pytest.fixture(scope="module")
def paths(drill: Drill, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    written = write_drill(drill, tmp_path_factory.mktemp("drill"), progress=lambda _done, _total: None)
    return {path.stem: path for path in written}


@pytest.fixture(scope="module")
def events(paths: dict[str, Path]) -> list[AnyEvent]:
    files = [paths[kind] for kind in ("send", "receipt", "verify")]
    return [from_row(row) for path in files for row in pq.read_table(path).to_pylist()]


def test_every_event_is_told_once(events: list[AnyEvent]):
    assert Counter(event.event_id for event in events).most_common(1)[0][1] == 1
    assert {event.kind for event in events} == {"send", "receipt", "verify"}


def test_sends_are_the_attempts(drill: Drill, events: list[AnyEvent]):
    sends = [event for event in events if isinstance(event, Send)]
    frame = drill.attempts

    assert len(sends) == len(frame)
    assert [send.at for send in sends] == [at.tz_localize(UTC) for at in frame.submitted_at]
    for column in ("provider", "carrier", "region", "purpose", "template", "cause", "outcome", "attempt"):
        assert [getattr(send, column) for send in sends] == frame[column].tolist()
    assert len({send.phone_hash for send in sends}) == frame.phone_hash.nunique()
    assert all(time_of(send.request_id) == send.at for send in sends if send.attempt == 1)


def test_receipts_and_checks_say_what_the_frame_says(drill: Drill, events: list[AnyEvent]):
    frame = drill.attempts
    status = Counter(event.status for event in events if isinstance(event, Receipt))
    checks = [event for event in events if isinstance(event, Verify)]
    approved = [check for check in checks if check.result == "approved"]
    ours = [check for check in checks if check.source == "check" and check.check == 1]

    assert status["delivered"] == frame.delivered_at.notna().sum()
    assert status["failed"] == frame.failed_at.notna().sum()
    assert len(approved) == frame.approved_at.notna().sum() == len({check.request_id for check in approved})
    assert sum(check.attempt > 0 for check in checks) == frame.filled_at.notna().sum()
    assert len(ours) == frame.first_check_at.notna().sum()
    assert (
        sum(check.result == "approved" for check in ours)
        == (frame.first_check_right & frame.first_check_at.notna()).sum()
    )


def test_failures_carry_the_codes_of_their_provider(drill: Drill, events: list[AnyEvent]):
    told = Counter(event.raw_code for event in events if isinstance(event, Receipt) and event.status == "failed")

    assert told == Counter(drill.attempts.failure_code[drill.attempts.failed_at.notna()])


def test_labels_can_be_read_again(drill: Drill, paths: dict[str, Path]):
    assert msgspec.json.decode(paths["labels"].read_bytes(), type=list[Label]) == drill.labels


def test_the_command_writes_it_and_says_so(tmp_path: Path):
    size = ["--rate-per-minute", "20", "--baseline-days", "1", "--test-days", "1", "--faults", "2"]
    done = CliRunner().invoke(command, ["--seed", "7", "--out", str(tmp_path / "deep" / "drill"), *size])

    assert done.exit_code == 0, done.output
    assert "2 faults" in done.stdout
    assert pd.read_parquet(tmp_path / "deep" / "drill" / "send.parquet").shape[0] > 20_000


def test_the_command_says_when_the_faults_find_no_room(tmp_path: Path):
    size = ["--rate-per-minute", "1", "--baseline-days", "1", "--test-days", "1", "--faults", "100"]
    done = CliRunner().invoke(command, ["--seed", "7", "--out", str(tmp_path), *size])

    assert done.exit_code == 1
    assert "no room for" in done.stderr
