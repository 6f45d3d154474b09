"""Each trouble of a link against a real server behind it: what passes, what waits, what is refused, and that healing delivers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress

import pytest

from sandbox.chaos.proxy import BLACK_HOLE, CUT, DOWN, DRIP, GARBAGE, HALF_OPEN, NONE, Link, Proxies, latency
from sandbox.ports import LOOPBACK, free_port
from tests.support.until import until

PATIENCE_SECONDS = 0.2


class Echo:
    """A server that gives every line back, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.calls: list[asyncio.Task[None]] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls.append(asyncio.current_task())
        with suppress(OSError):
            while line := await reader.readline():
                self.heard.append(line)
                writer.write(line)
                await writer.drain()
        await hung_up(writer)


@asynccontextmanager
async def linked(*more_targets: int) -> AsyncIterator[tuple[Link, Echo]]:
    echo = Echo()
    server = await asyncio.start_server(echo, LOOPBACK, 0)
    with closing(Proxies()) as proxies:
        yield proxies.link("echo", *more_targets, server.sockets[0].getsockname()[1]), echo
    server.close()
    await asyncio.gather(*echo.calls)


@asynccontextmanager
async def opened(link: Link) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(LOOPBACK, link.port)
    try:
        yield reader, writer
    finally:
        await hung_up(writer)


async def hung_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def asked(link: Link, line: bytes = b"hello\n") -> bytes:
    async with opened(link) as (reader, writer):
        writer.write(line)
        return await reader.readline()


async def test_a_link_without_trouble_passes_everything_both_ways():
    async with linked() as (link, echo):
        assert await asked(link) == b"hello\n"
        assert echo.heard == [b"hello\n"]


async def test_what_a_black_hole_held_back_arrives_when_it_is_healed():
    async with linked() as (link, echo), opened(link) as (reader, writer):
        writer.write(b"before\n")
        await reader.readline()
        link.set(BLACK_HOLE)
        writer.write(b"late\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), PATIENCE_SECONDS)
        assert echo.heard == [b"before\n"]
        link.set(NONE)

        assert await reader.readline() == b"late\n"


async def test_a_half_open_link_lets_the_question_through_and_keeps_the_answer():
    async with linked() as (link, echo), opened(link) as (reader, writer):
        writer.write(b"before\n")
        await reader.readline()
        link.set(HALF_OPEN)
        writer.write(b"commit\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), PATIENCE_SECONDS)
        await until(lambda: len(echo.heard) == 2)

        assert echo.heard == [b"before\n", b"commit\n"]


async def test_a_link_that_is_down_resets_open_connections_and_new_ones():
    async with linked() as (link, _), opened(link) as (reader, writer):
        writer.write(b"before\n")
        await reader.readline()
        link.set(DOWN)

        with pytest.raises(ConnectionResetError):
            await reader.readline()
        with pytest.raises(ConnectionResetError):
            await asked(link)


async def test_an_answer_is_cut_in_the_middle():
    async with linked() as (link, _):
        link.set(CUT)
        async with opened(link) as (reader, writer):
            writer.write(b"0123456789\n")

            with pytest.raises(ConnectionResetError):
                await reader.readexactly(11)


async def test_a_garbage_banner_comes_instead_of_the_server():
    async with linked() as (link, echo):
        link.set(GARBAGE)
        async with opened(link) as (reader, _):
            assert await reader.read() == GARBAGE.greeting
            assert echo.heard == []


async def test_a_drip_ends_when_it_is_healed_and_nothing_is_missing():
    async with linked() as (link, _):
        link.set(DRIP)
        async with opened(link) as (reader, writer):
            writer.write(b"x" * 1000 + b"\n")
            await reader.readexactly(1)
            link.set(NONE)

            assert len(await reader.readline()) == 1000


async def test_questions_are_late_by_what_was_asked():
    async with linked() as (link, _):
        link.set(latency(300))
        async with opened(link) as (reader, writer):
            writer.write(b"slow\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readline(), 0.1)

            assert await reader.readline() == b"slow\n"


async def test_a_server_that_is_away_is_passed_over():
    async with linked(free_port()) as (link, _):
        assert [await asked(link) for _ in range(3)] == [b"hello\n"] * 3
