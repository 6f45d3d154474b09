"""How fast events come from JetStream into ClickHouse, beside a bare insert of the same rows by clickhouse-connect."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from random import Random

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from pydantic import SecretStr

from core.clock import utc_now
from core.events import Event, Receipt, Send, Verify, encode_lines
from core.ids import uuid7_from
from core.queue import events_subject
from core.queue.jetstream import JetStreamQueue
from core.settings.servers import Queue
from core.settings.servers import Warehouse as WarehouseSettings
from core.settings.watching import Ingest
from core.warehouse import Warehouse
from ingest.sink import Sink
from ingest.stream import StreamIngester
from sandbox.servers import start_nats

PER_MESSAGE = 500
PER_INSERT = 50_000
ROUNDS = 5


@dataclass(frozen=True)
class Rates:
    """Events a second, round by round: through the queue, and by bare inserts of rows and of JSON lines."""

    stream: Sequence[float]
    rows: Sequence[float]
    json: Sequence[float]

    def ratio(self, rival: Sequence[float]) -> float:
        """Of the queue's to the rival's, of each round, the median: what disturbs the machine disturbs both of a round."""
        return statistics.median(ours / theirs for ours, theirs in zip(self.stream, rival, strict=True))


def events(count: int, *, salt: int) -> Iterator[list[Event]]:
    """Batches of one kind each, as they come out of a publisher: sends, their receipts and their checks."""
    rng, start = Random(salt), utc_now().replace(microsecond=0) - timedelta(hours=6)
    for first in range(0, count // 3, PER_MESSAGE):
        sends = [
            _send(start + timedelta(milliseconds=7 * number), salt, number, rng)
            for number in range(first, first + PER_MESSAGE)
        ]
        yield list(sends)
        yield [Receipt(at=one.at + timedelta(seconds=4), request_id=one.request_id, attempt=1, provider=one.provider, status="delivered", raw_status="DELIVRD", raw_code="000") for one in sends]  # fmt: skip
        yield [Verify(at=one.at + timedelta(seconds=15), request_id=one.request_id, attempt=1, provider=one.provider, country=one.country, app=one.app, purpose=one.purpose, template=one.template, check=1, result="approved") for one in sends]  # fmt: skip


def _send(at: datetime, salt: int, number: int, rng: Random) -> Send:
    return Send(
        at=at,
        request_id=uuid7_from(at, f"{salt} {number}"),
        attempt=1,
        category="code",
        cause="first",
        outcome="accepted",
        provider=f"provider-{rng.randrange(12)}",
        carrier=f"carrier-{rng.randrange(36)}",
        country=rng.choice(("CN", "US", "IN", "BR", "DE")),
        region=f"region-{rng.randrange(40)}",
        app="shop",
        purpose="login",
        template=f"template-{rng.randrange(8)}",
        latency_ms=rng.randrange(40, 400),
        phone_hash=f"{rng.getrandbits(128):032x}",
    )


def measure(warehouse: Warehouse, settings: WarehouseSettings, folder: Path, *, count: int) -> Rates:
    """Rounds of all three, in turn; every one inserts events nobody has inserted yet, into the same tables and views."""
    server = start_nats(folder / "nats")
    rates: dict[str, list[float]] = {"stream": [], "rows": [], "json": []}
    try:
        with _client(settings) as client:
            for number in range(ROUNDS):
                batches = {way: list(events(count, salt=number * 10 + place)) for place, way in enumerate(rates)}
                rates["json"].append(_bare_json(client, batches["json"]))
                rates["rows"].append(_bare_rows(client, batches["rows"]))
                rates["stream"].append(asyncio.run(_stream(warehouse, server.url, batches["stream"])))
    finally:
        server.stop()
    return Rates(**rates)


async def _stream(warehouse: Warehouse, url: str, batches: Sequence[Sequence[Event]]) -> float:
    queue = JetStreamQueue(Queue(url=SecretStr(url)), name="bench")
    total = sum(map(len, batches))
    for batch in batches:
        body = encode_lines(batch)
        await queue.publish(events_subject(batch[0].kind), body, message_id=blake2b(body, digest_size=16).hexdigest())
    ingester = StreamIngester(queue, Sink(warehouse, clock=utc_now), Ingest())
    stop = asyncio.Event()
    began = time.perf_counter()
    running = asyncio.create_task(ingester.run(stop))
    while ingester.totals.events < total:  # noqa: ASYNC110  # the ingester counts, and tells nobody
        await asyncio.sleep(0.005)
    seconds = time.perf_counter() - began
    stop.set()
    await running
    await queue.close()
    return total / seconds


def _bare_json(client: Client, batches: Sequence[Sequence[Event]]) -> float:
    inserts = [(kind, encode_lines(rows)) for kind, rows in _by_kind(batches)]
    began = time.perf_counter()
    for kind, body in inserts:
        client.raw_insert(f"{kind}_events", insert_block=body, fmt="JSONEachRow", settings={"input_format_skip_unknown_fields": 1, "date_time_input_format": "best_effort"})  # fmt: skip
    return sum(map(len, batches)) / (time.perf_counter() - began)


def _bare_rows(client: Client, batches: Sequence[Sequence[Event]]) -> float:
    inserts = []
    for kind, rows in _by_kind(batches):
        names = [name for name in rows[0].__struct_fields__ if name != "v"]
        inserts.append((kind, names, [[getattr(row, name) for name in names] for row in rows]))
    began = time.perf_counter()
    for kind, names, values in inserts:
        client.insert(f"{kind}_events", values, column_names=names)
    return sum(map(len, batches)) / (time.perf_counter() - began)


def _by_kind(batches: Sequence[Sequence[Event]]) -> Iterator[tuple[str, list[Event]]]:
    for kind in ("send", "receipt", "verify"):
        rows = [event for batch in batches if batch[0].kind == kind for event in batch]
        for first in range(0, len(rows), PER_INSERT):
            yield kind, rows[first : first + PER_INSERT]


def _client(settings: WarehouseSettings) -> Client:
    return clickhouse_connect.get_client(
        host=settings.host,
        port=settings.port,
        username=settings.username,
        password=settings.password.get_secret_value(),
        database=settings.database,
        send_receive_timeout=600,
        autogenerate_session_id=False,
    )
