"""What the reading lane does: all questions that have gathered, with one query a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select

from core.events import Category
from service.facts import (
    AnyFact,
    ApiKey,
    Approval,
    Attempt,
    AttemptOutcome,
    Check,
    DeliveryReceipt,
    OptOut,
    Request,
    RequestState,
)
from service.stores import Earlier, SendSubject, rows, schema
from service.stores.database import Database
from service.stores.derive import assemble, latest_word
from service.stores.faults import FactRefused, StoreFault


class AskRequest(msgspec.Struct, frozen=True):
    request_id: UUID


class AskBrief(msgspec.Struct, frozen=True):
    request_id: UUID


class AskChecks(msgspec.Struct, frozen=True):
    request_id: UUID


class AskLiving(msgspec.Struct, frozen=True, kw_only=True):
    app: str
    phone_hash: str
    purpose: str
    now: datetime


class AskSends(msgspec.Struct, frozen=True, kw_only=True):
    phone_hash: str
    category: Category
    since: datetime


class AskOptOut(msgspec.Struct, frozen=True):
    phone_hash: str


class AskKey(msgspec.Struct, frozen=True):
    key_hash: str


Question = AskRequest | AskBrief | AskChecks | AskLiving | AskSends | AskOptOut | AskKey | SendSubject
_OfRequest = Attempt | AttemptOutcome | DeliveryReceipt | Check | Approval
_ALL: Sequence[type[_OfRequest]] = (Attempt, AttemptOutcome, DeliveryReceipt, Check, Approval)
Told = RequestState | None | list[datetime] | list[Check] | bool | ApiKey | Earlier


class Reader:
    """The work function of the reading lane."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, questions: Sequence[Question]) -> list[Told | BaseException]:
        """An answer for each question; one that cannot be asked costs none of its neighbours."""
        try:
            return list(self._database.run(lambda connection: _answer(connection, questions), writes=False))
        except FactRefused as refused:
            if len(questions) == 1:
                return [refused]
            middle = len(questions) // 2
            return self(questions[:middle]) + self(questions[middle:])
        except StoreFault as fault:
            return [fault.again() for _ in questions]


def _answer(connection: Connection, asked: Sequence[Question]) -> list[Told]:
    questions = [part for question in asked for part in _parts(question)]
    living = _living(connection, [question for question in questions if isinstance(question, AskLiving)])
    wholly = {question.request_id for question in questions if isinstance(question, AskRequest)}
    states = states_of(connection, wholly | set(living.values()))
    briefly = {question.request_id for question in questions if isinstance(question, AskBrief)}
    briefs = _briefs(connection, briefly)
    checks = _checks(connection, {question.request_id for question in questions if isinstance(question, AskChecks)})
    sends = _sends(connection, [question for question in questions if isinstance(question, AskSends)])
    stopped = _stopped(connection, {question.phone_hash for question in questions if isinstance(question, AskOptOut)})
    keys = _keys(connection, {question.key_hash for question in questions if isinstance(question, AskKey)})

    def state_of(question: AskLiving) -> RequestState | None:
        return states.get(living[question]) if question in living else None

    def sends_of(question: AskSends) -> list[datetime]:
        return [at for at in sends[question.phone_hash, question.category] if at >= question.since]

    def told(question: Question) -> Told:
        match question:
            case AskRequest():
                return states.get(question.request_id)
            case AskBrief():
                return briefs.get(question.request_id)
            case AskChecks():
                return checks[question.request_id]
            case AskLiving():
                return state_of(question)
            case AskSends():
                return sends_of(question)
            case SendSubject():
                return Earlier(living=state_of(_living_of(question)), sends=sends_of(_sends_of(question)))
            case AskOptOut():
                return question.phone_hash in stopped
            case AskKey():
                return keys.get(question.key_hash)

    return [told(question) for question in asked]


def _parts(question: Question) -> Sequence[Question]:
    return (_living_of(question), _sends_of(question)) if isinstance(question, SendSubject) else (question,)


def _living_of(subject: SendSubject) -> AskLiving:
    return AskLiving(app=subject.app, phone_hash=subject.phone_hash, purpose=subject.purpose, now=subject.now)


def _sends_of(subject: SendSubject) -> AskSends:
    return AskSends(phone_hash=subject.phone_hash, category="code", since=subject.since)


def _living(connection: Connection, questions: Sequence[AskLiving]) -> dict[AskLiving, UUID]:
    if not questions:
        return {}
    living = rows.ask(
        connection,
        "living",
        numbers={question.phone_hash for question in questions},
        purposes={question.purpose for question in questions},
        now=min(question.now for question in questions),
    )
    candidates: dict[tuple[str, str, str], list[tuple[datetime, int, datetime, UUID]]] = defaultdict(list)
    for phone_hash, app, purpose, expires_at, at, kept_id in living:
        request_id = UUID(bytes=kept_id)
        known = (rows.utc(at), request_id.int, rows.utc(expires_at), request_id)
        candidates[phone_hash, app, purpose].append(known)
    found = {}
    for question in questions:
        theirs = candidates[question.phone_hash, question.app, question.purpose]
        if row := max((row for row in theirs if row[2] > question.now), default=None):
            found[question] = row[3]
    return found


def states_of(connection: Connection, ids: set[UUID]) -> dict[UUID, RequestState]:
    if not ids:
        return {}
    found = {row.id: row for row in rows.select(connection, Request, "id", ids)}
    facts: dict[UUID, list[AnyFact]] = defaultdict(list)
    for kind in _ALL:
        for fact in rows.select(connection, kind, "request_id", found):
            facts[fact.request_id].append(fact)
    return {request_id: assemble(request, facts[request_id]) for request_id, request in found.items()}


def _briefs(connection: Connection, ids: set[UUID]) -> dict[UUID, RequestState]:
    found: dict[UUID, Request] = {}
    facts: dict[UUID, set[AnyFact]] = defaultdict(set)
    for request, beside in rows.select_with(connection, (Attempt, Approval), ids):
        found[request.id] = request
        facts[request.id].update(beside)
    return {request_id: assemble(request, facts[request_id]) for request_id, request in found.items()}


def _checks(connection: Connection, ids: set[UUID]) -> dict[UUID, list[Check]]:
    found: dict[UUID, list[Check]] = defaultdict(list)
    for check in rows.select(connection, Check, "request_id", ids):
        found[check.request_id].append(check)
    return defaultdict(list, {key: sorted(checks, key=attrgetter("check")) for key, checks in found.items()})


def _sends(connection: Connection, questions: Sequence[AskSends]) -> dict[tuple[str, Category], list[datetime]]:
    sends: dict[tuple[str, Category], list[datetime]] = defaultdict(list)
    if questions:
        numbers = {question.phone_hash for question in questions}
        since = min(question.since for question in questions)
        for phone_hash, category, at in rows.ask(connection, "sends", numbers=numbers, since=since):
            sends[phone_hash, category].append(rows.utc(at))
    return sends


def _stopped(connection: Connection, numbers: set[str]) -> set[str]:
    words: dict[str, list[OptOut]] = defaultdict(list)
    for word in rows.select(connection, OptOut, "phone_hash", numbers):
        words[word.phone_hash].append(word)
    latest = map(latest_word, words.values())
    return {word.phone_hash for word in latest if word and word.keyword == "stop"}


def _keys(connection: Connection, hashes: set[str]) -> dict[str, ApiKey]:
    if not hashes:
        return {}
    revoked = select(schema.revocations.c.key_hash).where(schema.revocations.c.key_hash.in_(hashes))
    gone = set(connection.scalars(revoked))
    keys = rows.select(connection, ApiKey, "key_hash", hashes)
    return {key.key_hash: key for key in keys if key.key_hash not in gone}
