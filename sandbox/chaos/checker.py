"""Judges a run: what the load was told, against what every store holds. Each invariant I1 to I7 gives sentences that name
the call or the row, without a number or a code; no sentence means that it holds.

A call without an answer is unknown: what it asked for may be there, and need not. While an instance can ask neither store
it promises less, and is judged by that: one approval, the allowed checks and one answer to a key by each such instance.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

from core.numbers import NumberHash
from core.warehouse import Warehouse
from metrics.catalogue import METRICS
from metrics.query import Question, ask
from sandbox.chaos.evidence import Evidence
from sandbox.chaos.ledger import Attempt, Call, Ledger
from sandbox.chaos.recount import Counted, as_told, recount, submitted
from service.providers.base.references import reference_of

CHECKS_MAX = 5
_EVALUATED = ("wrong", "approved")
_SHOWN_MAX = 5
_TOLERANCE = 0.0001


@dataclass
class Findings:
    """What is wrong, by invariant, and how much of it was lost, doubled or approved twice."""

    problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    lost: int = 0
    doubled: int = 0
    approved_twice: int = 0

    @property
    def are_none(self) -> bool:
        return not any(self.problems.values())

    def add(self, invariant: str, problems: Iterable[str]) -> int:
        """Note the problems of an invariant; returns how many."""
        found = list(problems)
        self.problems[invariant] += found
        return len(found)

    def join(self, others: Findings) -> None:
        """Add what somebody else has found."""
        for invariant, problems in others.problems.items():
            self.problems[invariant] += problems
        self.lost += others.lost
        self.doubled += others.doubled
        self.approved_twice += others.approved_twice


def judge(ledger: Ledger, evidence: Evidence, *, number_hash: NumberHash) -> Findings:
    """I1 to I5 of a cluster at rest, without the metrics. What ClickHouse has is compared row by row, contents too."""
    findings = Findings()
    findings.lost += findings.add("I1", _not_kept(ledger, evidence, number_hash))
    findings.lost += findings.add("I1", _checks_lost(ledger, evidence))
    findings.doubled += findings.add("I1", _checks_doubled(ledger, evidence))
    findings.doubled += findings.add("I1", _two_answers_to_one_key(ledger))
    findings.approved_twice += findings.add("I2", _approved_twice(ledger))
    findings.add("I2", _too_many_checks(ledger, evidence))
    findings.add("I2", _right_codes_refused(ledger))
    findings.doubled += findings.add("I3", _sent_twice(ledger))
    findings.lost += findings.add("I3", _submissions_unknown(ledger, evidence))
    findings.add("I4", _finals_changed(ledger, evidence))
    findings.lost += findings.add("I5", _events_missing(evidence))
    findings.doubled += findings.add("I5", _events_doubled(evidence))
    findings.add("I5", _contents_differ(evidence))
    return findings


# ---- I1


def _not_kept(ledger: Ledger, evidence: Evidence, number_hash: NumberHash) -> Iterator[str]:
    requests = {key for (key,) in evidence.keys("requests", "id")}
    attempts = evidence.keys("attempts", "request_id", "attempt")
    approvals = {key for (key,) in evidence.keys("approvals", "request_id")}
    numbers = {key for (key,) in evidence.keys("encrypted_numbers", "request_id")}
    for call in ledger.ok("verify", "message"):
        if call.request_id not in requests:
            yield f"{call}: answered, and not in MySQL's requests"
        elif call.attempt and (call.request_id, call.attempt) not in attempts:
            yield f"{call}: answered, and attempt {call.attempt} is not in MySQL's attempts"
        elif call.request_id not in numbers:
            yield f"{call}: answered, and its number is not in MySQL's encrypted_numbers"
    for call in ledger.ok("convert"):
        if call.request_id not in approvals:
            yield f"{call}: answered, and not in MySQL's approvals"
    for call in ledger.ok("check"):
        if call.result == "approved" and call.request_id not in approvals:
            yield f"{call}: approved, and not in MySQL's approvals"
    kept = evidence.keys("receipts", "request_id", "attempt")
    for request_id, attempt in ledger.receipts - kept:
        yield f"a receipt of {request_id} attempt {attempt}: acknowledged, and not in MySQL's receipts"
    stops = {key for (key,) in evidence.keys("opt_outs", "phone_hash")}
    for phone_hash in {number_hash(number) for number in ledger.stops} - stops:
        yield f"a STOP (number hash {phone_hash}): acknowledged, and not in MySQL's opt_outs"


def _checks(ledger: Ledger) -> dict[UUID, list[Call]]:
    found: dict[UUID, list[Call]] = defaultdict(list)
    for call in ledger.calls:
        if call.kind == "check" and call.request_id is not None:
            found[call.request_id].append(call)
    return found


def _rows_of_checks(evidence: Evidence) -> Counter[UUID]:
    frame = evidence.facts["checks"]
    entered = frame[frame["source"] == "check"]
    return Counter(entered["request_id"])


def _checks_lost(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    rows = _rows_of_checks(evidence)
    for request_id, calls in _checks(ledger).items():
        told = sum(call.result in _EVALUATED for call in calls)
        if rows[request_id] < told:
            yield f"checks of {request_id}: {told} answered with a verdict, {rows[request_id]} in MySQL's checks"


def _checks_doubled(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    rows = _rows_of_checks(evidence)
    for request_id, calls in _checks(ledger).items():
        most = sum(call.ending == "unknown" or call.result in (*_EVALUATED, "expired") for call in calls)
        if rows[request_id] > most:
            yield f"checks of {request_id}: at most {most} were made, {rows[request_id]} are in MySQL's checks"


def _two_answers_to_one_key(ledger: Ledger) -> Iterator[str]:
    answers: dict[str, dict[tuple[UUID | None, int], set[str]]] = defaultdict(dict)
    for call in sorted(ledger.ok("verify", "message"), key=attrgetter("at")):
        if not call.key:
            continue
        given, answer, place = answers[call.key], (call.request_id, call.attempt), ledger.place(call)
        others = {other for row, places in given.items() if row != answer for other in places}
        if answer not in given and given and (not place or place in others):
            yield f"{call}: an Idempotency-Key was answered with another request or attempt before"
        given.setdefault(answer, set()).add(place)


# ---- I2


def _approved_twice(ledger: Ledger) -> Iterator[str]:
    approved: dict[UUID | None, list[Call]] = defaultdict(list)
    for call in sorted(ledger.ok("check"), key=attrgetter("at")):
        if call.result == "approved":
            approved[call.request_id].append(call)
    for request_id, calls in approved.items():
        # One in the stores and after it one by each other instance that can ask none; none in a store after those.
        if len(calls) != len({call.instance for call in calls}) or not all(map(ledger.place, calls[1:])):
            yield f"verification {request_id}: approved {len(calls)} times"


def _too_many_checks(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    rows = _rows_of_checks(evidence)
    for request_id, calls in _checks(ledger).items():
        told = Counter(ledger.place(call) for call in calls if call.result in _EVALUATED)
        allowed = CHECKS_MAX * max(1, len({ledger.place(call) for call in calls}))
        if max(told.values(), default=0) > CHECKS_MAX or rows[request_id] > allowed:
            yield f"verification {request_id}: {told.total()} checks evaluated, {rows[request_id]} kept, {allowed} allowed"


def _right_codes_refused(ledger: Ledger) -> Iterator[str]:
    for calls in _checks(ledger).values():
        for call in calls:
            if not call.is_right or call.ending != "ok" or call.result == "approved":
                continue
            others = (other for other in calls if other is not call)
            may_be_approved = any(other.is_right and other.result in ("", "approved") for other in others)
            if call.result != "already_approved" or not may_be_approved:
                yield f"{call}: the right code was answered with {call.result}"


# ---- I3


def _sent_twice(ledger: Ledger) -> Iterator[str]:
    for reference, times in ledger.submissions.items():
        if times > 1:
            yield f"attempt {reference}: submitted to a provider {times} times"


def _submissions_unknown(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    kept = {reference_of(request_id, int(n)) for request_id, n in evidence.keys("attempts", "request_id", "attempt")}
    for reference in set(ledger.submissions) - kept:
        yield f"attempt {reference}: submitted to a provider, and not in MySQL's attempts"
    for call in ledger.ok("verify", "message"):
        if call.request_id and call.attempt and reference_of(call.request_id, call.attempt) not in ledger.submissions:
            yield f"{call}: answered, and attempt {call.attempt} reached no provider"


# ---- I4


def _finals_changed(ledger: Ledger, evidence: Evidence) -> Iterator[str]:
    frame = evidence.facts["receipts"]
    rows = frame[frame["stage"] == "final"][["request_id", "attempt", "status"]]
    finals: dict[Attempt, str] = {(key, int(n)): status for key, n, status in rows.itertuples(index=False, name=None)}
    for attempt, status in ledger.finals.items():
        if finals.get(attempt) != status:
            yield f"receipt of {attempt[0]} attempt {attempt[1]}: was {status}, is {finals.get(attempt, 'missing')}"


# ---- I5


def _pairs(evidence: Evidence) -> list[tuple[str, Counter[Any], str, Counter[Any]]]:
    """Facts and their events by key: how often each is there."""
    pairs = {
        "send_events": ("outcomes", ("request_id", "attempt")),
        "receipt_events": ("receipts", ("request_id", "attempt", "stage")),
        "verify_events": ("checks", ("request_id", "check", "result")),
        "inbound_events": ("inbound", ("provider", "message_hash")),
    }
    return [
        (table, Counter(evidence.keys(table, *columns)), events, Counter(evidence.events[events]))
        for events, (table, columns) in pairs.items()
    ]


def _events_missing(evidence: Evidence) -> Iterator[str]:
    for table, facts, name, events in _pairs(evidence):
        for key in facts.keys() - events.keys():
            yield f"{_words(key)}: in MySQL's {table}, and not in ClickHouse's {name}"


def _events_doubled(evidence: Evidence) -> Iterator[str]:
    for table, facts, name, events in _pairs(evidence):
        for key in events.keys() - facts.keys():
            yield f"{_words(key)}: in ClickHouse's {name}, and not in MySQL's {table}"
        if name == "receipt_events":
            continue  # two final receipts that disagree are two events; the fact is the first of them
        for key, times in events.items():
            if times > 1:
                yield f"{_words(key)}: {times} times in ClickHouse's {name}"


def _contents_differ(evidence: Evidence) -> Iterator[str]:
    """Rows of which MySQL and ClickHouse have different values, times to the millisecond."""
    if not evidence.told:
        return
    sends, receipts, checks = as_told(evidence.facts)
    finals = receipts[receipts["status"] != "pending"]
    key, check = ["request_id", "attempt"], ["request_id", "check"]
    pairs = (
        (key, ("at", "cause", "outcome", "error_class"), sends, evidence.told["send_events"]),
        (key, ("at", "status", "error_class"), finals, evidence.told["finals"]),
        (check, ("at", "attempt", "result"), checks, evidence.told["verify_events"]),
    )
    for keys, columns, facts, events in pairs:
        both = facts.merge(events, on=keys, suffixes=("_fact", "_event"))
        for column in columns:
            differing = both[both[f"{column}_fact"] != both[f"{column}_event"]]
            for row in differing.to_dict("records"):
                name = _words(tuple(row[part] for part in keys))
                seen, known = row[f"{column}_event"], row[f"{column}_fact"]
                yield f"{name}: {column} {known} in MySQL, {seen} in ClickHouse"


def metrics_that_differ(
    warehouse: Warehouse, evidence: Evidence, *, now: datetime, on_time_seconds: int
) -> Iterator[str]:
    """The ten metrics of the warehouse against a plain recount of the facts of MySQL."""
    slugs = tuple(metric.slug for metric in METRICS)
    window = timedelta(days=1)
    start, end = now - window, now + window
    question = Question(metrics=slugs, start=start, end=end)
    row = ask(warehouse, question, now=now, on_time_seconds=on_time_seconds).iloc[0]
    attempts = submitted(*as_told(evidence.facts))
    attempts = attempts[(attempts["at"] >= start) & (attempts["at"] < end)]
    counted: Counted = recount(attempts, now=now, on_time_seconds=on_time_seconds)
    for name, (value, n) in counted.items():
        seen, seen_n = float(row[name]), int(row[f"{name.removesuffix('_p95')}_n"])
        is_same = (math.isnan(seen) and math.isnan(value)) or math.isclose(seen, value, abs_tol=_TOLERANCE)
        if not is_same or seen_n != n:
            yield f"metric {name}: {seen:.4f} of n {seen_n} in ClickHouse, {value:.4f} of n {n} by a plain recount"


# ---- I6


def changed_by_replay(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    """What a second replay of the journals did to the primary store; it should do nothing."""
    for table, count in before.items():
        if after[table] != count:
            yield f"MySQL's {table}: {count} rows, and {after[table]} after the journals were replayed again"


def shortened(problems: list[str]) -> list[str]:
    """A few of many, and how many there are."""
    more = len(problems) - _SHOWN_MAX
    return problems if more <= 0 else [*problems[:_SHOWN_MAX], f"... and {more} more"]


def _words(key: tuple[Any, ...]) -> str:
    return " ".join(map(str, key))
