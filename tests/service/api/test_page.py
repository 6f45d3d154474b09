"""The API describes itself, without another network, and says how it is."""

from __future__ import annotations

import re

from service.api import HANDLERS
from tests.support.house import House
from tests.support.providers import a_number


async def test_the_document_has_every_operation_with_its_errors(house: House):
    document = (await house.call("GET", "/schema/openapi.json", key="")).json()
    paths = {path for handler in HANDLERS if handler.resolve_include_in_schema() for path in handler.paths}
    answers = document["paths"]["/v1/verifications"]["post"]["responses"]

    assert {re.sub(r":\w+}", "}", path) for path in paths} == set(document["paths"])
    assert {"200", "201", "401", "403", "409", "422", "429", "502", "503"} <= set(answers)
    assert "application/problem+json" in answers["429"]["content"]


async def test_the_page_shows_every_operation_and_loads_nothing(house: House):
    document = (await house.call("GET", "/schema/openapi.json", key="")).json()
    page = (await house.call("GET", "/schema", key="")).text

    for path in document["paths"]:
        assert path in page
    assert not re.search(r"(src|href)=.?(https?:)?//", page)
    assert "<script" not in page


async def test_an_example_of_the_page_is_a_body_with_all_that_is_required(house: House):
    page = (await house.call("GET", "/schema", key="")).text

    assert "&#34;purpose&#34;: &#34;login&#34;" in page


async def test_readiness_follows_the_store_and_not_the_queue(house: House):
    house.queue.available = False
    ready = await house.call("GET", "/readyz", key="")
    house.store.available = False
    house.timer[0] += 2.0
    down = await house.call("GET", "/readyz", key="")
    alive = await house.call("GET", "/healthz", key="")

    assert ready.status_code == 200
    assert down.status_code == 503
    assert down.json()["store"].startswith("down")
    assert alive.status_code == 200


async def test_telemetry_counts_calls_sends_and_checks(house: House):
    sent = (await house.verify(a_number())).json()
    await house.check(sent["id"], house.code())
    text = (await house.call("GET", "/metrics", key="")).text

    assert 'heliograph_sends_total{category="code",cause="first",outcome="accepted"} 1.0' in text
    assert 'heliograph_checks_total{result="approved"} 1.0' in text
    assert 'route="/v1/verifications",status="201"} 1.0' in text
    assert sent["id"] not in text


async def test_without_a_second_store_there_is_nothing_to_switch(house: House):
    seen = await house.call("GET", "/v1/operate/failover", key="operator")
    refused = await house.call("POST", "/v1/operate/failover", {"action": "recover"}, key="operator")

    assert seen.json()["status"] == "healthy"
    assert refused.status_code == 422
