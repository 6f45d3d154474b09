"""The habits of the simulated providers: what they push, when, how often, and that they end cleanly."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import replace

import aiohttp
import numpy as np
import phonenumbers
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from core.clock import utc_now
from core.numbers import read
from sandbox.ports import can_bind, free_ports, is_listening
from sandbox.providers import Simulator, Stand, build_app, serve_all, serving
from sandbox.providers.delta import Delta
from sandbox.providers.vendor import Call, CallRefused
from sandbox.world import Fate, PlannedReceipt, World
from service.providers import build
from service.providers.base.references import parse_reference, reference_of
from service.providers.base.session import open_session
from service.providers.base.telemetry import ProviderTelemetry
from tests.support.providers import ACCEPTED, KINDS, SECRET, KeepTexts, a_number, a_submission, pair, settings_of

DELIVERED = PlannedReceipt(0.0, "delivered", "")
each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
async def test_receipts_come_back_over_http_in_the_order_of_their_fate(kind):
    planned = (
        PlannedReceipt(0.02, "pending", ""),
        PlannedReceipt(0.30, "delivered", ""),
        PlannedReceipt(0.60, "delivered", ""),
    )
    async with pair(kind, replace(ACCEPTED, receipts=planned, arrives_seconds=0.1)) as both:
        submission = a_submission(attempt=3)
        await both.provider.send(submission)
        await both.simulator.drain()

        assert [row.status for row in both.customer.receipts] == ["pending", "delivered", "delivered"]
        assert {parse_reference(submission.reference)} == {
            (row.request_id, row.attempt) for row in both.customer.receipts
        }
        assert both.customer.receipts[1] == both.customer.receipts[2]  # told again is told alike
        assert [(submission.number, submission.text)] == both.handsets.shown


@each_kind
async def test_the_world_is_asked_with_what_the_number_and_the_text_say(kind):
    async with pair(kind) as both:
        number = a_number("CN", "China Unicom")
        await both.provider.send(a_submission(number=number, text="您的验证码是〇〇〇〇，10分钟内有效。"))
        (asked,) = both.world.asked

        assert (kind, "CN", "China Unicom") == (asked["provider"], asked["country"], asked["carrier"])
        assert read(number).region == asked["region"]


async def test_a_receipt_may_overtake_the_answer():
    fate = replace(ACCEPTED, answer_seconds=5.0, receipts=(DELIVERED,))
    async with pair("cumulus", fate, flush_seconds=60.0) as both:
        told = asyncio.Event()
        both.customer.on_body = told.set
        sending = asyncio.create_task(both.provider.send(a_submission()))
        async with asyncio.timeout(4):
            await told.wait()

        assert not sending.done()
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending


@pytest.mark.parametrize("kind", ["beacon", "cumulus"])
async def test_batches_hold_at_most_fifty_rows_and_lose_none(kind):
    fate = replace(ACCEPTED, answer_seconds=0.0, receipts=(PlannedReceipt(0.01, "delivered", ""),))
    async with pair(kind, fate) as both:
        submissions = [a_submission() for _ in range(120)]
        await asyncio.gather(*(both.provider.send(submission) for submission in submissions))
        await both.simulator.drain()

        assert {submission.reference for submission in submissions} == {
            reference_of(row.request_id, row.attempt) for row in both.customer.receipts
        }
        assert len(both.customer.receipts) == 120
        assert max(both.customer.rows_a_body) <= 50
        assert len(both.customer.rows_a_body) < 60


@pytest.mark.parametrize("kind", ["aurora", "delta"])
async def test_who_does_not_batch_pushes_one_a_call(kind):
    async with pair(kind, replace(ACCEPTED, receipts=(DELIVERED,))) as both:
        await asyncio.gather(*(both.provider.send(a_submission()) for _ in range(10)))
        await both.simulator.drain()

        assert both.customer.rows_a_body == [1] * 10


@each_kind
async def test_receipts_are_pushed_again_until_they_are_taken(kind):
    async with pair(kind, replace(ACCEPTED, receipts=(DELIVERED,))) as both:
        both.customer.refusals += [web.Response(status=503), web.Response(status=400)]
        await both.provider.send(a_submission())
        await both.simulator.drain()

        assert len(both.customer.receipts) == 1


@pytest.mark.parametrize("kind", ["beacon", "cumulus"])
async def test_a_wrong_acknowledgement_is_none(kind):
    async with pair(kind, replace(ACCEPTED, receipts=(DELIVERED,))) as both:
        both.customer.refusals += [web.Response(text="thanks")]
        await both.provider.send(a_submission())
        await both.simulator.drain()

        assert len(both.customer.receipts) == 1
        assert both.customer.refusals == []


async def test_receipts_that_nobody_takes_are_given_up():
    async with pair("aurora", replace(ACCEPTED, receipts=(DELIVERED,)), retry_seconds=(0.0,)) as both:
        both.customer.refusals += [web.Response(status=503), web.Response(status=503)]
        await both.provider.send(a_submission())
        await both.simulator.drain()

        assert both.customer.receipts == []


@each_kind
async def test_every_submission_of_a_reference_is_counted_even_when_it_fails(kind):
    async with pair(kind) as both:
        submission = a_submission()
        both.simulator.sabotage("error")
        await both.provider.send(submission)
        await both.provider.send(submission)

        assert {submission.reference: 2} == both.simulator.counts()


@each_kind
async def test_where_the_world_does_not_reach_the_provider_says_no(kind):
    async with pair(kind) as both:
        unknown = a_submission(number="+0")
        both.world.fate = World(seed=1).fate
        elsewhere = a_submission(number=_number_in_france())

        assert (await both.provider.send(unknown)).error_class == "number"
        assert (await both.provider.send(elsewhere)).error_class == "account"


@each_kind
async def test_a_reply_from_the_handset_is_pushed(kind):
    async with pair(kind) as both:
        number = a_number()
        await both.simulator.reply(number, "STOP, please\nnow")
        await both.simulator.drain()

        assert [(number, "STOP, please\nnow")] == [(row.number, row.text) for row in both.customer.inbound]


async def test_a_share_of_those_who_get_a_message_answer_stop():
    async with pair("beacon", replace(ACCEPTED, arrives_seconds=0.0), stop_share=1.0) as both:
        submission = a_submission()
        await both.provider.send(submission)
        await both.simulator.drain()

        assert [(submission.number, "STOP")] == [(row.number, row.text) for row in both.customer.inbound]


def test_delta_refuses_a_call_that_is_played_again():
    vendor = Delta(account="acme", secret=SECRET, clock=utc_now, rng=np.random.default_rng())
    body = b'{"reference":"r","to":{"number":"n"},"content":{"text":"t"}}'
    headers = {name.lower(): value for name, value in vendor.sign("/v2/messages", body).items()}
    call = Call("/v2/messages", {**headers, "authorization": "Bearer acme"}, body)

    assert vendor.order(call).reference == "r"
    with pytest.raises(CallRefused):
        vendor.order(call)


@each_kind
async def test_a_call_that_is_no_order_is_refused_and_not_counted(kind):
    async with pair(kind) as both, aiohttp.ClientSession() as session:
        async with session.post(both.url + "/sms/submit", data=b"\xff" * 100) as response:
            refused = await response.read()
        async with session.post(both.url + "/", data=b"x" * 70_000) as response:
            too_large = response.status
        async with session.get(both.url + "/") as response:
            by_get = response.status
        async with session.get(both.url + "/healthz") as response:
            health = response.status

        assert refused
        assert (too_large, by_get, health) == (413, 405, 200)
        assert both.simulator.counts() == {}


async def test_it_ends_at_once_although_calls_hang_and_receipts_are_outstanding():
    fate = Fate("timeout", "timeout", 60.0, (PlannedReceipt(3600.0, "delivered", ""),), None)
    async with asyncio.timeout(5):
        async with pair("aurora", fate, timeout_seconds=60.0) as both:
            calls = [asyncio.create_task(both.provider.send(a_submission())) for _ in range(5)]
            while len(both.simulator.counts()) < 5:  # noqa: ASYNC110 -- another task counts
                await asyncio.sleep(0.01)
        answers = await asyncio.gather(*calls)

    assert {"unknown"} == {answer.outcome for answer in answers}


async def test_all_four_serve_from_one_process_with_fates_of_the_world_until_cancelled():
    ports = dict(zip(KINDS, free_ports(4), strict=True))
    up: asyncio.Future[dict[str, Simulator]] = asyncio.get_running_loop().create_future()
    serving_all = asyncio.create_task(
        serve_all(
            [Stand(kind, port, "acme", SECRET, name=f"{kind}-1") for kind, port in ports.items()],
            world=World(seed=5, pace=0.01),
            rng=np.random.default_rng(5),
            handsets=KeepTexts(),
            callback_url="http://127.0.0.1:9",  # nobody listens there: receipts wait for their next try
            ready=lambda simulators: up.set_result(dict(simulators)),
        )
    )
    async with asyncio.timeout(20), open_session() as session:
        simulators = await up
        telemetry = ProviderTelemetry(CollectorRegistry())
        providers = [
            build(
                settings_of(kind, url=f"http://127.0.0.1:{port}"), session=session, clock=utc_now, telemetry=telemetry
            )
            for kind, port in ports.items()
        ]
        answers = await asyncio.gather(*(each.send(a_submission()) for each in providers for _ in range(50)))
        serving_all.cancel()
        with suppress(asyncio.CancelledError):
            await serving_all

    assert [len(simulator.counts()) for simulator in simulators.values()] == [50] * 4
    assert sum(answer.outcome == "accepted" for answer in answers) > 170
    assert all(can_bind(port) and not is_listening(port) for port in ports.values())


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_behind():
    first, second = free_ports(2)
    with socket.create_server(("127.0.0.1", second)), pytest.raises(OSError, match="in use"):
        async with serving({_idle("aurora"): first, _idle("beacon"): second}):
            pass

    assert can_bind(first)


def _idle(kind):
    return build_app(
        kind,
        world=World(seed=1),
        rng=np.random.default_rng(),
        handsets=KeepTexts(),
        callback_url="http://127.0.0.1:9",
        account="acme",
        secret=SECRET,
    )


def _number_in_france():
    """A mobile number as the library makes one up: the world has no such country."""
    made_up = phonenumbers.example_number_for_type("FR", phonenumbers.PhoneNumberType.MOBILE)
    return phonenumbers.format_number(made_up, phonenumbers.PhoneNumberFormat.E164)
