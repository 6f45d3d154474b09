"""A push of any size: receipts are asked for and kept in parts, so that neither a lane overflows nor a call takes too long."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from core.clock import ManualClock
from core.numbers import NumberHash
from core.queue.memory import MemoryQueue
from core.settings.servers import Journal, Store
from service.providers.base.references import reference_of
from service.providers.base.telemetry import ProviderTelemetry
from service.publisher import Publisher
from service.receipts import Receipts
from service.stores import AT_ONCE
from service.stores.sql import SqlStore
from service.telemetry import Telemetry
from tests.service.stores.facts import new_id
from tests.support.house import NOW, TwinProvider

ROWS = AT_ONCE + 200


@pytest.mark.parametrize("providers", [1, 2])
async def test_a_large_push_is_taken_and_taken_again(tmp_path: Path, providers: int):
    clock, registry = ManualClock(NOW), CollectorRegistry()
    telemetry = ProviderTelemetry(registry)
    twins = {
        name: TwinProvider(name, clock=clock, registry=telemetry, weight=1.0, countries=[])
        for name in ["route", "reserve"][:providers]
    }
    publisher = Publisher(
        MemoryQueue(),
        tmp_path / "journal",
        settings=Journal(folder=tmp_path),
        clock=clock,
        telemetry=Telemetry(registry),
    )
    # As many as wait in a lane are asked for at once: more than that would be told to come back, and come back for ever.
    store = SqlStore(Store(url=SecretStr(f"sqlite:///{tmp_path / 'store.sqlite3'}"), lane_waiting_max=AT_ONCE))
    receipts = Receipts(
        providers=twins, store=store, publisher=publisher, number_hash=NumberHash("a key of the tests"), clock=clock
    )
    body = msgspec.json.encode([{"reference": reference_of(new_id(), 1), "status": "delivered"} for _ in range(ROWS)])
    headers = twins["route"].sign(body)
    taken = [await receipts.take("route", headers, body) for _ in range(2)]
    await publisher.stop()
    await store.close()

    assert [row.good for row in taken] == [ROWS, ROWS]
