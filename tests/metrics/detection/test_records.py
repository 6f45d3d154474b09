"""What detection writes is what dashboard, report and alerts read."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from core.errors import BadInput
from metrics.detection import records
from metrics.detection.incidents import Incident, Notification, sentence
from metrics.detection.words import Word, comments_on, say, words_at, words_between
from tests.support.incidents import ONSET, an_incident

DROP = an_incident(updated_at=ONSET + timedelta(minutes=20))


def test_an_incident_reads_as_one_sentence():
    assert sentence(DROP) == (
        "since 14:03 delivery through alpha to CMCC in Guangdong fell from 95\xa0% to 71\xa0%, 1,240 messages to 1,100 people so far, mostly code "
        "MK:0004; the other providers are normal there; it explains 93\xa0% of the drop"
    )


def test_the_times_of_a_sentence_are_those_of_the_reader():
    over = replace(DROP, onset=ONSET + timedelta(hours=7), resolved_at=ONSET + timedelta(hours=9))
    over = replace(over, updated_at=over.resolved_at)

    assert sentence(over, ZoneInfo("Europe/Berlin")).startswith("from 2 Mar 22:03 CET until 00:03 CET delivery")
    assert sentence(over).startswith("from 21:03 until 23:03 delivery")


def test_an_incident_survives_json():
    assert Incident.from_json(DROP.as_json()) == DROP


def test_an_incident_is_read_as_it_was_kept(warehouse):
    records.keep(warehouse, [DROP])

    assert records.open_incidents(warehouse) == [DROP]
    assert records.incident(warehouse, DROP.id) == DROP
    assert records.incident(warehouse, "another") is None


def test_the_newest_state_stands_in_whatever_order_it_was_written(warehouse):
    over = replace(
        DROP, state="resolved", resolved_at=ONSET + timedelta(hours=1), updated_at=ONSET + timedelta(hours=1)
    )

    records.keep(warehouse, [over])
    records.keep(warehouse, [DROP])

    assert records.open_incidents(warehouse) == []
    assert records.incident(warehouse, DROP.id) == over


def test_incidents_are_found_by_the_time_they_lasted(warehouse):
    over = replace(DROP, state="resolved", resolved_at=ONSET + timedelta(hours=1))
    still = replace(DROP, id="still", onset=ONSET + timedelta(hours=2))
    records.keep(warehouse, [over, still])

    def found(start_hours, end_hours):
        start, end = ONSET + timedelta(hours=start_hours), ONSET + timedelta(hours=end_hours)
        return [one.id for one in records.incidents_between(warehouse, start, end)]

    assert found(-1, 0) == []
    assert found(0.5, 0.6) == [DROP.id]
    assert found(1, 2) == []
    assert found(0.5, 9) == ["still", DROP.id]


def test_notifications_come_once_and_in_order(warehouse):
    first = Notification("opened", DROP, ONSET + timedelta(minutes=3))
    second = Notification("updated", DROP, ONSET + timedelta(minutes=7))

    for _ in range(2):
        records.keep(warehouse, [DROP], [second, first])

    assert records.notifications_since(warehouse, ONSET) == [first, second]
    assert records.notifications_since(warehouse, first.at) == [second]


def test_evidence_is_a_row_a_minute_and_can_be_written_again(warehouse):
    minutes = pd.date_range(ONSET, periods=3, freq="1min")
    frame = pd.DataFrame(
        {
            "minute": minutes,
            "channel": "delivered",
            "expected": [95.0, 95.0, 95.0],
            "observed": [94.0, 70.0, 71.0],
            "low": [85.0, 85.0, 85.0],
            "high": [100.0, 100.0, 100.0],
            "n": [100, 100, 100],
        }
    )

    records.keep_evidence(warehouse, DROP.id, frame, at=ONSET)
    records.keep_evidence(warehouse, DROP.id, frame.assign(observed=60.0), at=ONSET + timedelta(minutes=1))

    read = records.evidence(warehouse, DROP.id)
    assert list(read["observed"]) == [60.0, 60.0, 60.0]
    assert list(read["minute"]) == list(minutes)
    assert list(records.evidence(warehouse, "another").columns) == list(records.EVIDENCE_COLUMNS)


def test_a_silence_covers_what_lies_within_its_scope_and_time():
    silence = Word(
        "maintenance", "ops", scope={"provider": ("alpha", "beta")}, start=ONSET, end=ONSET + timedelta(hours=1)
    )

    def quiet(scope, minutes=5):
        return silence.quiets(incident_id="x", scope=scope, at=ONSET + timedelta(minutes=minutes))

    assert quiet({"provider": ("alpha",), "country": ("CN",)})
    assert not quiet({"country": ("CN",)})  # wider than the silence
    assert not quiet({"provider": ("gamma",)})
    assert not quiet({"provider": ("alpha",)}, minutes=60)


def test_words_are_added_and_withdrawn_and_stay_on_record(warehouse):
    now = ONSET
    silence = say(warehouse, Word("silence", "ops", scope={}, start=now, end=now + timedelta(hours=1)), now=now)
    comment = say(warehouse, Word("comment", "ops", "called them", incident_id=DROP.id), now=now)

    assert words_at(warehouse, now + timedelta(minutes=1)) == [replace(silence, said_at=now)]
    assert comments_on(warehouse, DROP.id) == [replace(comment, scope={}, said_at=now)]

    say(warehouse, Word("withdrawn", "ops", refers_to=silence.id), now=now + timedelta(minutes=2))

    assert words_at(warehouse, now + timedelta(minutes=3)) == []
    assert len(words_between(warehouse, now, now + timedelta(hours=1))) == 3


@pytest.mark.parametrize(
    "word",
    [
        Word("silence", "", end=ONSET),
        Word("silence", "ops"),
        Word("comment", "ops", "about nothing"),
        Word("withdrawn", "ops"),
        Word("silence", "ops", scope={"planet": ("Mars",)}, end=ONSET),
        Word("silence", "ops", start=ONSET, end=ONSET),
    ],
)
def test_a_word_that_makes_no_sense_is_refused(warehouse, word):
    with pytest.raises(BadInput):
        say(warehouse, word, now=ONSET)
