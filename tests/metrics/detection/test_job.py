"""The job of every minute on a real warehouse: the same as a replay, each minute once, and no verdict where data is missing."""

import io
import json
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from core.errors import ConfigurationError
from core.files import held
from core.ids import uuid7_from
from core.settings import Settings
from core.settings.watching import Alerts, Detection
from metrics.detection import records
from metrics.detection.codes import FrameCodes, WarehouseCodes
from metrics.detection.detector import Tuning
from metrics.detection.events import attempts_of
from metrics.detection.job import LOCK, Job
from metrics.detection.main import run_once
from metrics.detection.replay import over_attempts, over_warehouse
from metrics.detection.words import Word, say
from tests.metrics.detection.test_naming import lose
from tests.metrics.detection.told import BASELINE, FAULT, START, broken

SETTINGS = Detection(settle_seconds=0, baseline_days=2)
END = FAULT + timedelta(minutes=30)


def events_of(attempts):
    """The attempts as events, kind by kind."""
    told = {"send": [], "receipt": [], "verify": []}
    for number, row in enumerate(attempts.to_dict("records")):
        key = {"request_id": str(uuid7_from(row["submitted_at"].to_pydatetime(), str(number))), "attempt": 1}
        names = {name: row[name] for name in ("provider", "carrier", "country", "region", "app", "purpose", "template")}
        told["send"].append(
            key | names | {"kind": "send", "at": _text(row["submitted_at"]), "outcome": row["outcome"], "category": "code"}
            | {"cause": "first", "error_class": row["outcome_class"], "error_code": row["outcome_code"]}
        )  # fmt: skip
        for status, column in (("delivered", "delivered_at"), ("failed", "failed_at")):
            if pd.notna(row[column]):
                code = (
                    {"error_class": row["failure_class"], "raw_code": row["failure_code"]} if status == "failed" else {}
                )
                told["receipt"].append(key | {"kind": "receipt", "at": _text(row[column]), "status": status} | code)
        if pd.notna(row["filled_at"]):
            result = "approved" if row["first_check_right"] else "wrong"
            told["verify"].append(
                key | {"kind": "verify", "at": _text(row["filled_at"]), "check": 1, "result": result, "source": "check"}
            )
    for kind, rows in told.items():
        for number, row in enumerate(rows):
            row["event_id"] = f"{kind}{number:08d}".ljust(32, "0")
    return told


def _text(at):
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")[:23]


@pytest.fixture(scope="module")
def attempts():
    told = broken(lose, hours_after=0.6, per_minute=30, carrier="CMCC")
    for name in ("submitted_at", "delivered_at", "failed_at", "filled_at", "first_check_at"):
        told[name] = told[name].dt.floor("ms")
    return told


@pytest.fixture
def history(warehouse, attempts):
    """The warehouse with everything that has arrived before `END`."""
    for kind, rows in events_of(attempts).items():
        until = [row for row in rows if row["at"] < _text(pd.Timestamp(END))]
        warehouse.insert_json(f"{kind}_events", "\n".join(map(json.dumps, until)).encode())
    return warehouse


def plain(told):
    return [(one.event, one.at, one.incident.kind, dict(one.incident.scope), one.incident.onset) for one in told]


def test_the_job_of_every_minute_tells_what_a_replay_tells(history):
    start = START + BASELINE
    replayed = list(over_warehouse(history, start=start, end=END))

    job, told = Job(SETTINGS), []
    for minute in range(0, int((END - start) / timedelta(minutes=1)) + 1, 10):
        told += job.minute(history, start + timedelta(minutes=minute)).told

    assert [one.incident.kind for one in told] == ["delivery-drop"]
    assert plain(told) == plain(replayed)
    (found,) = records.open_incidents(history)
    assert dict(found.scope) == {"carrier": ("CMCC",)}
    assert len(records.evidence(history, found.id)) > 20
    assert plain(records.notifications_since(history, start)) == plain(told)


def test_a_minute_is_judged_once_whoever_does_it(history):
    first, second = Job(SETTINGS), Job(SETTINGS)
    early = FAULT - timedelta(minutes=10)
    first.minute(history, early)
    second.minute(history, early)

    told = [*first.minute(history, END).told, *second.minute(history, END).told]
    later = Job(SETTINGS).minute(history, END).told  # a process that starts afresh

    assert [one.event for one in told] == ["opened"]
    assert list(later) == []


def test_of_two_that_take_turns_one_tells_what_either_has_found(history):
    early = FAULT - timedelta(minutes=10)
    eager, slow = Job(SETTINGS), Job(SETTINGS.model_copy(update={"false_alarms_per_day": 1e-6}))
    rings = [
        next(over_warehouse(history, start=early, end=END, tuning=Tuning(one.settings.false_alarms_per_day, 2))).at
        for one in (eager, slow)
    ]
    for one in (eager, slow):
        one.minute(history, early)

    told = [
        one.event
        for job, until in ((slow, rings[0]), (eager, rings[1]), (slow, END), (eager, END + timedelta(minutes=1)))
        for one in job.minute(history, until).told
    ]

    assert rings[0] < rings[1]
    assert told.count("opened") == 1
    assert len(records.open_incidents(history)) == 1


def test_by_hand_nothing_is_judged_while_a_scheduler_does(warehouse, warehouse_settings, tmp_path: Path):
    settings = Settings(warehouse=warehouse_settings, alerts=Alerts(folder=tmp_path / "alerts"))
    with held(tmp_path / "alerts" / LOCK):
        beside = list(run_once(settings))

    assert [line.split(":")[0] for line in beside] == ["nothing judged"]
    assert list(run_once(settings)) == ["no data"]


def test_by_hand_a_folder_that_cannot_be_used_is_named(tmp_path: Path):
    (tmp_path / "a file").write_text("")
    settings = Settings(alerts=Alerts(folder=tmp_path / "a file" / "alerts"))

    with pytest.raises(ConfigurationError, match="a file/alerts cannot be used"):
        list(run_once(settings))


def judged(warehouse, *stops):
    """The incident that is open at `END`, when nothing is remembered of what was judged; a new process begins at each stop."""
    for table in ("incidents", "incident_notifications", "incident_evidence", "detection_progress"):
        warehouse.command(f"TRUNCATE TABLE {table}")
    Job(SETTINGS).minute(warehouse, FAULT - timedelta(minutes=10))
    for stop in (*stops, END):
        Job(SETTINGS).minute(warehouse, stop)
    (found,) = records.open_incidents(warehouse)
    return found


def test_who_takes_an_open_incident_over_counts_on_from_its_beginning(history):
    whole = judged(history)
    parts = judged(history, END - timedelta(minutes=16), END - timedelta(minutes=3), END - timedelta(minutes=1))

    assert parts.id == whole.id
    assert parts.n == whole.n
    assert parts.observed == pytest.approx(whole.observed)
    assert parts.expected == pytest.approx(whole.expected, rel=0.005)
    assert parts.share == pytest.approx(whole.share, abs=0.05)  # it was told as 1 where it had been more
    assert parts.messages == pytest.approx(whole.messages, rel=0.05)


class Stumbling:
    """A warehouse that breaks once, when what was found is written."""

    def __init__(self, warehouse):
        self._warehouse = warehouse
        self.breaks = True

    def insert_json(self, table, lines):
        if table == "incident_notifications" and self.breaks:
            self.breaks = False
            raise RuntimeError("a fault nobody has thought of")
        self._warehouse.insert_json(table, lines)

    def __getattr__(self, name):
        return getattr(self._warehouse, name)


def test_what_was_found_and_could_not_be_written_is_told_with_the_next_minute(history):
    job, stumbling = Job(SETTINGS), Stumbling(history)
    job.minute(history, FAULT - timedelta(minutes=10))
    with pytest.raises(RuntimeError):
        job.minute(stumbling, END)
    told = job.minute(stumbling, END + timedelta(minutes=1)).told

    assert [one.event for one in told] == ["opened"]
    assert plain(records.notifications_since(history, START)) == plain(told)


def test_a_maintenance_that_ended_while_nobody_judged_keeps_quiet_about_its_minutes(history):
    window = Word("maintenance", "ops", start=FAULT - timedelta(minutes=5), end=END - timedelta(minutes=5))
    say(history, window, now=FAULT - timedelta(hours=1))

    job = Job(SETTINGS)
    job.minute(history, FAULT - timedelta(minutes=10))
    told = job.minute(history, END).told

    assert [(one.event, one.incident.silenced) for one in told if one.at < window.end] == [("opened", True)]
    assert [one.silenced for one in records.open_incidents(history)] == [False]


def test_codes_are_counted_in_the_warehouse_as_over_attempts(history, attempts):
    def counted(codes, scope):
        rows = codes.count(scope, FAULT, END).sort_values("code")
        return rows[["code", "error_class", "count"]].to_numpy().tolist()

    for scope in ({}, {"carrier": ("CMCC",), "country": ("CN", "DE")}):
        told = counted(WarehouseCodes(history), scope)

        assert [code for code, _, _ in told] == ["MK:0001", "MK:0004", "R1"]
        assert told == counted(FrameCodes(attempts), scope)


def test_without_data_nothing_is_judged(warehouse, history):
    assert Job(Detection(enabled=False)).minute(history, END).state == "off"
    assert Job(SETTINGS).minute(history, END + timedelta(hours=1)).state == "data stopped"


def test_an_event_dated_ahead_hides_no_missing_data(history):
    ahead = END + timedelta(days=30)
    row = {"seen_minute": _text(ahead)[:19], "request_minute": _text(ahead)[:19]}
    history.insert_json("arrivals", json.dumps(row).encode())

    assert Job(SETTINGS).minute(history, END + timedelta(hours=1)).state == "data stopped"
    assert Job(SETTINGS).minute(history, END + timedelta(hours=30)).state == "data stopped"


def test_an_empty_warehouse_is_no_fault(warehouse):
    assert Job(SETTINGS).minute(warehouse, END).state == "no data"


def test_files_of_events_are_replayed_like_the_attempts_they_tell_of(attempts, tmp_path: Path):
    rows = [row for rows in events_of(attempts).values() for row in rows]
    buffer = io.StringIO()
    for row in rows:
        buffer.write(json.dumps(row | {"at": row["at"].replace(" ", "T") + "Z"}) + "\n")
    file = tmp_path / "events.jsonl"
    file.write_text(buffer.getvalue(), encoding="utf-8")
    window = {"start": START + BASELINE, "end": END}

    read = list(over_attempts(attempts_of([file]), **window))

    assert plain(read) == plain(over_attempts(attempts, **window))
