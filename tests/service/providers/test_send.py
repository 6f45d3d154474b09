"""How a submission ends, for every adapter against its simulator over real loopback HTTP."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from core.clock import ManualTimer, utc_now
from core.errors import ConfigurationError
from core.settings.sending import Provider as ProviderSettings
from sandbox.ports import free_port
from sandbox.world import Fate
from service.providers import build, kinds
from service.providers.base.provider import ANSWER_BYTES_MAX, HELD_UP
from service.providers.base.segments import segments_of
from service.providers.base.session import open_session
from service.providers.base.submission import Answer
from service.providers.base.telemetry import ProviderTelemetry
from tests.support.providers import ACCEPTED, KINDS, a_submission, pair, settings_of

REFUSALS = ("number", "blocked", "throttled", "account", "opted_out")

each_kind = pytest.mark.parametrize("kind", KINDS)


@each_kind
async def test_a_yes_is_accepted_with_the_providers_own_id(kind):
    async with pair(kind) as both:
        submission = a_submission()
        answer = await both.provider.send(submission)

        assert (answer.outcome, answer.error_class, answer.error_code) == ("accepted", "", "")
        assert answer.provider_reference
        assert {submission.reference: 1} == both.simulator.counts()


@each_kind
@pytest.mark.parametrize("error_class", REFUSALS)
async def test_a_no_is_rejected_with_its_class_and_the_vendors_own_code(kind, error_class):
    async with pair(kind, Fate("rejected", error_class, 0.0, (), None)) as both:
        answer = await both.provider.send(a_submission())

        assert ("rejected", error_class) == (answer.outcome, answer.error_class)
        assert answer.error_code


@each_kind
async def test_a_code_without_a_row_is_rejected_as_unknown_and_kept(kind):
    async with pair(kind) as both:
        both.simulator.sabotage("unknown_code")
        answer = await both.provider.send(a_submission())

        assert (answer.outcome, answer.error_class) == ("rejected", "unknown")
        assert answer.error_code


@each_kind
@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("throttle", Answer("rejected", "throttled", "http_429")),
        ("error", Answer("failed", "provider", "http_500")),
        ("garbage", Answer("unknown", "provider", "unreadable")),
        ("wrong_id", Answer("unknown", "provider", "wrong_reference")),
    ],
)
async def test_a_spoilt_answer_ends_as_what_it_is(kind, how, expected):
    async with pair(kind) as both:
        both.simulator.sabotage(how)
        answer = await both.provider.send(a_submission())

        assert expected == replace(answer, latency_ms=0)


@each_kind
async def test_no_answer_in_time_is_unknown_because_the_message_may_arrive(kind):
    fate = Fate("accepted", "", 0.0, (), arrives_seconds=0.0)
    async with pair(kind, fate, timeout_seconds=0.2) as both:
        both.simulator.sabotage("timeout")
        submission = a_submission()
        answer = await both.provider.send(submission)
        await both.simulator.drain()

        assert Answer("unknown", "timeout", "no_answer") == replace(answer, latency_ms=0)
        assert 200 <= answer.latency_ms < 2000
        assert [(submission.number, submission.text)] == both.handsets.shown


async def test_a_provider_whom_nobody_listened_to_is_not_blamed():
    async with pair("delta", timeout_seconds=0.1, listened=ManualTimer()) as both:
        both.simulator.sabotage("timeout")
        answer = await both.provider.send(a_submission())

        assert Answer("unknown", "timeout", HELD_UP) == replace(answer, latency_ms=0)


async def test_the_rest_of_the_requests_deadline_is_shorter_than_the_providers_own_timeout():
    async with pair("delta", timeout_seconds=30.0) as both:
        both.simulator.sabotage("timeout")
        answer = await both.provider.send(a_submission(), timeout_seconds=0.1)

        assert answer.error_class == "timeout"


@each_kind
async def test_wrong_credentials_are_an_account_fault(kind):
    async with pair(kind, their_secret="another secret than the one the adapter has") as both:
        answer = await both.provider.send(a_submission())

        assert (answer.outcome, answer.error_class) == ("rejected", "account")
        assert both.simulator.counts() == {}


@each_kind
async def test_a_refused_connection_failed_because_nothing_was_written(kind):
    async with open_session() as session:
        provider = _provider(settings_of(kind, url=f"http://127.0.0.1:{free_port()}"), session)
        answer = await provider.send(a_submission())

        assert Answer("failed", "provider", "no_connection") == replace(answer, latency_ms=0)


@each_kind
async def test_a_connection_that_breaks_after_the_request_was_read_is_unknown(kind):
    async def hang_up(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_session() as session:
        answer = await _provider(settings_of(kind, url=f"http://127.0.0.1:{port}"), session).send(a_submission())

        assert Answer("unknown", "provider", "disconnected") == replace(answer, latency_ms=0)


@each_kind
@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({"status": 200, "body": b"x" * (ANSWER_BYTES_MAX + 1)}, Answer("unknown", "provider", "too_long")),
        ({"status": 200, "body": b"[" * 5000}, Answer("unknown", "provider", "unreadable")),
        ({"status": 200, "body": b""}, Answer("unknown", "provider", "unreadable")),
        ({"status": 403, "body": b"<html>proxy"}, Answer("rejected", "account", "http_403")),
        ({"status": 404, "body": b"nothing here"}, Answer("rejected", "unknown", "http_404")),
        ({"status": 408, "body": b""}, Answer("unknown", "timeout", "http_408")),
        ({"status": 504, "body": b""}, Answer("unknown", "timeout", "http_504")),
    ],
)
async def test_an_answer_of_somebody_else_on_the_way_is_judged_by_its_status(kind, response, expected):
    async with _answering(**response) as (url, _), open_session() as session:
        answer = await _provider(settings_of(kind, url=url), session).send(a_submission())

        assert expected == replace(answer, latency_ms=0)


@each_kind
async def test_a_redirect_does_not_carry_the_number_to_another_host(kind):
    async with (
        open_session() as session,
        _answering(status=200, body=b"") as (other, seen_there),
        _answering(status=307, headers={"Location": other + "/"}) as (url, _),
    ):
        answer = await _provider(settings_of(kind, url=url), session).send(a_submission())

        assert Answer("failed", "provider", "http_307") == replace(answer, latency_ms=0)
        assert seen_there == []


@each_kind
async def test_no_number_text_or_secret_reaches_a_log_line_or_a_repr(kind):
    async with pair(kind) as both:
        submission = a_submission(text="tell nobody of these words")
        with structlog.testing.capture_logs() as lines:
            for how in (None, "garbage", "throttle", "unknown_code"):
                if how:
                    both.simulator.sabotage(how)
                await both.provider.send(submission)
        told = repr(lines) + repr(submission)

        assert len(lines) == 4
        assert not [hidden for hidden in (submission.number[1:], "tell nobody", "a secret") if hidden in told]


async def test_every_submission_is_counted_by_how_it_ended():
    async with pair("aurora") as both:
        both.simulator.sabotage("throttle")
        for _ in range(3):
            await both.provider.send(a_submission())

        def count(outcome, error_class):
            labels = {"provider": "route-1", "outcome": outcome, "error_class": error_class}
            return both.registry.get_sample_value("heliograph_provider_submissions_total", labels)

        assert (count("accepted", ""), count("rejected", "throttled")) == (2.0, 1.0)
        assert (
            both.registry.get_sample_value("heliograph_provider_answer_seconds_count", {"provider": "route-1"}) == 3.0
        )
        assert both.registry.get_sample_value("heliograph_provider_waiting", {"provider": "route-1"}) == 0.0


async def test_a_submission_given_up_by_its_caller_no_longer_counts_as_waiting():
    async with pair("aurora", replace(ACCEPTED, answer_seconds=60.0), timeout_seconds=60.0) as both:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await both.provider.send(a_submission())

        assert both.registry.get_sample_value("heliograph_provider_waiting", {"provider": "route-1"}) == 0.0


def test_the_adapters_are_the_modules_of_the_folder():
    assert sorted(KINDS) == kinds()


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "zephyr"},
        {"kind": "base"},
        {"url": "ftp://127.0.0.1"},
        {"url": "not an address"},
        {"url": "http://[::1"},
        {"account": ""},
        {"secret": ""},
    ],
)
async def test_settings_that_cannot_work_are_refused_with_the_providers_name(wrong):
    rows = {"name": "route-1", "kind": "delta", "url": "http://127.0.0.1", "account": "acme", "secret": "s" * 32}
    async with open_session() as session:
        with pytest.raises(ConfigurationError, match="route-1"):
            _provider(ProviderSettings(**{**rows, **wrong}), session)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("码" * 70, 1),
        ("码" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
        ("码" * 67 * 20, 20),
    ],
)
def test_segments_follow_the_alphabet_of_the_text(text, segments):
    assert segments == segments_of(text)


def _provider(settings, session):
    return build(settings, session=session, clock=utc_now, telemetry=ProviderTelemetry(CollectorRegistry()))


@asynccontextmanager
async def _answering(**response):
    seen = []

    async def answer(request):
        seen.append(request.path)
        return web.Response(**response)

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), seen


async def test_a_provider_that_does_not_answer_takes_no_connection_of_another_one():
    arrived, let_go = asyncio.Semaphore(0), asyncio.Event()

    async def never(_request: web.Request) -> web.Response:
        arrived.release()
        await let_go.wait()
        return web.Response()

    async def at_once(_request: web.Request) -> web.Response:
        return web.Response()

    slow, quick = web.Application(), web.Application()
    slow.router.add_post("/", never)
    quick.router.add_post("/", at_once)
    async with TestServer(slow) as hung, TestServer(quick) as well, open_session(connections_max=2) as session:
        waiting = [asyncio.create_task(session.post(hung.make_url("/"))) for _ in range(3)]
        async with asyncio.timeout(10):
            for _ in range(2):
                await arrived.acquire()
            async with session.post(well.make_url("/")) as answer:
                assert answer.status == 200
        let_go.set()
        for response in await asyncio.gather(*waiting):
            response.close()
