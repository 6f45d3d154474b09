"""A handle whose query was told to stop is not lent again: the answer of whoever got it would break off."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sandbox.gateway.engine import Classified, Profile
from sandbox.gateway.queries import Query
from sandbox.gateway.requests import Request
from sandbox.gateway.sessions import Sessions

READS = Request(
    query_id="q",
    query="SELECT number FROM numbers(1000000)",
    body=b"",
    body_encoding="",
    parameters={},
    settings={},
    database="default",
    default_format="TabSeparated",
    readonly="0",
    wait=False,
    answer_encoding="",
    session_id="",
    session_timeout="",
    session_check=False,
    close_session=False,
)


class Endless:
    """A handle with an answer that goes on until it is let go of, in pieces of the size that a piece of an answer has."""

    def classify(self, _statement: bytes) -> Classified:
        return Classified(reads_only=True, is_control=False, statement_count=1)

    def stream(self, *_asked: object) -> Iterator[bytes]:
        while True:
            yield bytes(256 << 10)


class Lender:
    """The engine, as far as a query asks of it; it remembers what it got back and whom it told to stop."""

    def __init__(self) -> None:
        self.formats = {"tabseparated": "TabSeparated"}
        self.given: list[bool] = []
        self.told_to_stop: list[object] = []

    def take(self, _profile: Profile) -> Endless:
        return Endless()

    def give(self, _handle: Endless, *, clean: bool) -> None:
        self.given.append(clean)

    def kill(self, handle: Endless) -> None:
        self.told_to_stop.append(handle)


def test_a_query_that_was_abandoned_gives_its_handle_back_to_be_closed() -> None:
    lender = Lender()
    query = Query(lender, Sessions(time.monotonic), READS)
    whole = query.start()
    query.abandon()
    query.finish()

    assert whole is None
    assert len(lender.told_to_stop) == 1
    assert lender.given == [False]


def test_one_that_is_over_gives_it_back_for_the_next_and_stops_nobody_afterwards() -> None:
    lender = Lender()
    query = Query(lender, Sessions(time.monotonic), READS)
    query.start()
    query.finish()
    query.abandon()

    assert lender.given == [True]
    assert lender.told_to_stop == []
