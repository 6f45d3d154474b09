"""Files: every good row is stored, every bad one counted with its line, and loading again changes nothing."""

import csv
import gzip
from datetime import UTC, datetime, timedelta
from importlib import resources

import msgspec
import phonenumbers
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.clock import utc_now
from core.errors import BadInput, ConfigurationError
from core.events import Receipt, Send, encode_lines
from core.ids import uuid7_from
from core.numbers import NumberHash
from ingest import mapping as mappings
from ingest.files import BATCH_ROWS, ingest_file
from ingest.mapping import Mapper
from ingest.sink import Sink

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REQUESTS = [uuid7_from(AT, str(n)) for n in range(4)]
EVENTS = [
    Send(at=AT, request_id=r, attempt=1, category="code", cause="first", outcome="accepted", provider="alpha")
    for r in REQUESTS
] + [Receipt(at=AT + timedelta(seconds=3), request_id=r, attempt=1, status="delivered") for r in REQUESTS]
ROWS = [msgspec.json.decode(line) for line in encode_lines(EVENTS).splitlines()]


def write_jsonl(path):
    path.write_bytes(encode_lines(EVENTS))


def write_gzip(path):
    path.write_bytes(gzip.compress(encode_lines(EVENTS)))


def write_csv(path):
    columns = sorted({name for row in ROWS for name in row})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(ROWS)


def write_parquet(path):
    pq.write_table(pa.Table.from_pylist([dict.fromkeys({k for r in ROWS for k in r}) | row for row in ROWS]), path)


def write_packed_parquet(path):
    write_parquet(path)
    path.write_bytes(gzip.compress(path.read_bytes()))


@pytest.fixture
def sink(warehouse):
    return Sink(warehouse, clock=utc_now)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("e.jsonl", write_jsonl), ("e.jsonl.gz", write_gzip), ("e.csv", write_csv), ("e.parquet", write_parquet),
        ("e.parquet.gz", write_packed_parquet),
    ],
)  # fmt: skip
def test_every_kind_of_file_gives_the_same_rows(tmp_path, warehouse, sink, name, write):
    write(tmp_path / name)
    first = ingest_file(tmp_path / name, sink)
    ingest_file(tmp_path / name, sink)

    assert (first.rows, first.events, first.dead_letters) == (8, 8, 0)
    assert warehouse.query_rows("SELECT count(), countIf(delivered) FROM attempts FINAL") == [(4, 4)]


def test_a_bad_row_in_the_middle_is_told_with_its_line_and_costs_nobody_else(tmp_path, warehouse, sink):
    lines = encode_lines(EVENTS).splitlines()
    lines[2:2] = [b'{"kind":"send","attempt":"many"}', b"\xff\xfe\x00", b"[]"]
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(lines))
    totals = ingest_file(tmp_path / "e.jsonl", sink)
    letters = warehouse.query_rows("SELECT source, place FROM dead_letters FINAL ORDER BY place")

    assert (totals.events, totals.dead_letters) == (8, 3)
    assert letters == [("file e.jsonl", "3"), ("file e.jsonl", "4"), ("file e.jsonl", "5")]


def test_a_csv_row_with_a_missing_column_is_told_with_its_line(tmp_path, warehouse, sink):
    write_csv(tmp_path / "e.csv")
    lines = (tmp_path / "e.csv").read_text().splitlines()
    lines.insert(3, "too,short")
    (tmp_path / "e.csv").write_text("\n".join(lines))
    totals = ingest_file(tmp_path / "e.csv", sink)

    assert (totals.events, totals.dead_letters) == (8, 1)
    assert warehouse.query_rows("SELECT place FROM dead_letters FINAL") == [("4",)]


@pytest.mark.parametrize(
    ("name", "content"),
    [("e.xlsx", b""), ("e.parquet", b"PAR1 is not enough"), ("e.csv", b""), ("e.jsonl.gz", b"not gzip")],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, sink, name, content):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(BadInput, match=r"e\."):
        ingest_file(tmp_path / name, sink)


def test_a_parquet_file_that_is_damaged_behind_a_good_foot_is_told(tmp_path, sink):
    path = tmp_path / "e.parquet"
    write_parquet(path)
    whole = path.read_bytes()
    foot = int.from_bytes(whole[-8:-4], "little") + 8
    path.write_bytes(whole[:4] + bytes(len(whole) - 4 - foot) + whole[-foot:])
    with pytest.raises(BadInput, match=r"e\.parquet: cannot be read to its end"):
        ingest_file(path, sink)


def test_an_empty_line_of_a_csv_file_is_no_row(tmp_path, sink):
    path = tmp_path / "e.csv"
    write_csv(path)
    path.write_text(path.read_text().replace("\n", "\n\n") + "\n")
    totals = ingest_file(path, sink)

    assert (totals.rows, totals.events, totals.dead_letters) == (8, 8, 0)


def test_progress_ends_at_the_size_of_the_file(tmp_path, sink):
    write_jsonl(tmp_path / "e.jsonl")
    seen = []
    ingest_file(tmp_path / "e.jsonl", sink, progress=lambda done, total: seen.append((done, total)))
    size = (tmp_path / "e.jsonl").stat().st_size

    assert seen[-1] == (size, size)


def test_a_file_longer_than_a_batch_is_stored_whole(tmp_path, warehouse, sink):
    count = BATCH_ROWS + 10
    sends = (
        Send(at=AT, request_id=uuid7_from(AT, str(n)), attempt=1, category="code", cause="first", outcome="accepted")
        for n in range(count)
    )
    (tmp_path / "e.jsonl").write_bytes(encode_lines(sends))

    assert ingest_file(tmp_path / "e.jsonl", sink).events == count
    assert warehouse.query_rows("SELECT count() FROM attempts FINAL") == [(count,)]


def some_number(country: str) -> str:
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    return f"+{example.country_code}{example.national_number}"


def twilio_row(**changes):
    row = {"sid": "SM1", "to": some_number("GB"), "status": "delivered", "error_code": None, "num_segments": "2"}
    return (
        row
        | {"date_created": "2026-03-01T12:00:00Z", "date_updated": "2026-03-01T12:00:07Z", "direction": "outbound-api"}
        | changes
    )


def test_an_export_becomes_attempts_with_their_receipts_and_no_number(tmp_path, warehouse, sink):
    rows = [
        twilio_row(),
        twilio_row(sid="SM2", status="undelivered", error_code=30003),
        twilio_row(sid="SM3", status="failed", error_code=21610),
        twilio_row(sid="IN1", direction="inbound"),
        twilio_row(sid="SM4", status="teleported"),
    ]
    (tmp_path / "m.jsonl").write_bytes(msgspec.json.Encoder().encode_lines(rows))
    totals = ingest_file(tmp_path / "m.jsonl", sink, mapper=Mapper(mappings.load("twilio"), NumberHash("k" * 32)))
    columns = "outcome, outcome_class, delivered, delivery_seconds, failure_class, country, carrier, segments, length(phone_hash)"
    found = warehouse.query_rows(f"SELECT {columns} FROM attempts FINAL ORDER BY outcome, delivered DESC")

    assert (totals.rows, totals.events, totals.dead_letters) == (5, 5, 1)
    assert found == [
        ("accepted", "", True, 7.0, "", "GB", "Three", 2, 32),
        ("accepted", "", False, None, "handset", "GB", "Three", 2, 32),
        ("rejected", "opted_out", False, None, "", "GB", "Three", 2, 32),
    ]
    (letter,) = warehouse.query_rows("SELECT reason, payload FROM dead_letters FINAL")
    assert "status" in letter[0]
    assert some_number("GB") not in letter[1]


def test_every_shipped_mapping_loads_and_says_what_it_is_for():
    shipped = mappings.shipped()

    assert {"plain", "twilio", "vonage"} <= set(shipped)
    assert all(shipped.values())


def test_an_unknown_mapping_is_told_with_those_there_are():
    with pytest.raises(ConfigurationError) as refused:
        mappings.load("telegraph")

    assert "twilio" in refused.value.hint


def test_a_mapping_of_your_own_names_what_is_wrong_in_it(tmp_path):
    own = tmp_path / "ours.toml"
    own.write_text('description = "x"\nprovider = "ours"\n[columns]\nplanet = "p"\n')
    with pytest.raises(ConfigurationError) as refused:
        mappings.load(str(own))

    assert "states" in str(refused.value)
    assert "planet" in str(refused.value)


def test_a_zone_that_there_is_not_is_told_before_a_row_is_read(tmp_path):
    own = tmp_path / "ours.toml"
    plain = resources.files("ingest").joinpath("mappings", "plain.toml").read_text(encoding="utf-8")
    own.write_text(plain.replace('format = "iso"', 'zone = "Europe/Berlyn"'))
    with pytest.raises(ConfigurationError, match="Berlyn"):
        mappings.load(str(own))


def test_a_time_beyond_the_years_there_are_costs_its_row_alone():
    moment = mappings.Moment(column="at", format="epoch")
    with pytest.raises(BadInput, match="column 'at' is not a time of the form 'epoch'"):
        moment.read({"at": "1764150000000000000"})

    assert moment.read({"at": "1772366400"}) == AT


def test_the_plain_mapping_takes_the_provider_from_its_column(tmp_path, warehouse, sink):
    (tmp_path / "p.csv").write_text(
        "id,submitted_at,finished_at,number,status,error_code,provider,country\n"
        "1,2026-03-01T12:00:00Z,2026-03-01T12:00:04Z,,delivered,,gamma,FR\n"
        "2,yesterday,,,delivered,,gamma,FR\n"
    )
    totals = ingest_file(tmp_path / "p.csv", sink, mapper=Mapper(mappings.load("plain"), None))

    assert (totals.events, totals.reasons) == (2, {"column 'submitted_at' is not a time of the form 'iso'": 1})
    assert warehouse.query_rows("SELECT provider, country, delivery_seconds FROM attempts FINAL") == [
        ("gamma", "FR", 4.0)
    ]
