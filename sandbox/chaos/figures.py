"""The figures of one row, and what is judged by them: I8 (answers, times, detection) and I9 (changes of status)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import reduce
from heapq import nlargest
from operator import attrgetter, or_

import numpy as np

from core.alerts import Alert
from core.settings.servers import Store as StoreSettings
from sandbox.chaos.cluster import INSTANCES
from sandbox.chaos.ledger import Call, Ledger
from sandbox.chaos.nemesis import Fault
from sandbox.chaos.operations import Change, Operator
from sandbox.chaos.table import Row
from service.herald import alert_kind

NOT_OK_MAX_SHARE = 0.0001
ENTERED_MAX = 2
"""How often a status may be entered in one row where nobody can foretell the path: a third time would be flapping."""
_LATER = (429, 503)
_SLOWEST_SHOWN = 3
_OURS = ("receipts", "inbound")  # pushed by providers, which come back by themselves


def measure(row: Row, fault: Fault, ledger: Ledger, operator: Operator, *, began_at: float) -> list[Call]:
    """Fill in the figures; returns the calls that were not answered 2xx and should have been."""
    calls = ledger.since(began_at)
    failed = [call for call in calls if is_failure(call, fault)]
    row.calls, row.not_ok = len(calls), len(failed)
    row.refused = sum(call.intended and call.ending != "ok" for call in calls)
    if calls:
        row.p99_ms = float(np.percentile([call.seconds * 1000 for call in calls], 99))
    detected = [first for name in INSTANCES if (first := _detected_at(fault, operator, name, began_at)) is not None]
    if detected:
        row.detection_seconds = max(detected) - began_at
    return failed


def is_failure(call: Call, fault: Fault) -> bool:
    """Not answered 2xx, although it was well-formed and nothing ended the instance that had it."""
    return call.is_failure and not (fault.restarts_instances and call.made_good)


def answers(row: Row, fault: Fault, failed: list[Call], calls: list[Call], store: StoreSettings) -> Iterator[str]:
    """What is wrong by I8. A pair of faults is held to nothing but that refusals say when to come back, and so is a fault
    whose answers are not judged."""
    silent = [call for call in calls if call.status in _LATER and not call.says_when and call.kind not in _OURS]
    if silent:
        yield f"{silent[-1]}: HTTP {silent[-1].status} without Retry-After"
    if fault.expects is None or not fault.judges_answers:
        return
    if row.not_ok > NOT_OK_MAX_SHARE * row.calls:
        yield f"{row.not_ok} of {row.calls} calls were not answered 2xx"
        for call in failed:
            yield f"{call}: {f'HTTP {call.status}' if call.status else 'no answer'} after {call.seconds:.1f} s"
    p99_max_ms = fault.p99_max_ms or (max(store.connect_timeout_seconds, store.read_timeout_seconds) + 1) * 1000
    if row.p99_ms is not None and row.p99_ms > p99_max_ms:
        yield f"p99 is {row.p99_ms:.0f} ms, and may be {p99_max_ms:.0f} ms"
        begun = min(call.at for call in calls)
        for call in nlargest(_SLOWEST_SHOWN, calls, key=attrgetter("seconds")):
            yield f"{call}: {call.seconds:.1f} s, begun {call.at - begun:.1f} s after the first"
    if fault.expects or fault.detected_by:
        yield from _detection(row, fault)


def _detection(row: Row, fault: Fault) -> Iterator[str]:
    most = fault.detection_max_seconds
    if most is None:
        return
    if row.detection_seconds is None:
        yield "the fault was not detected"
    elif row.detection_seconds > most:
        yield f"detected after {row.detection_seconds:.1f} s, and should be within {most:g} s"


def changes(fault: Fault, operator: Operator, *, began_at: float) -> Iterator[str]:
    """What is wrong by I9."""
    for name in INSTANCES:
        seen = [change.new for change in operator.changes() if change.instance == name and change.at >= began_at]
        path = " → ".join(seen) or "nowhere"
        if fault.expects is None:
            if max(Counter(seen).values(), default=0) > ENTERED_MAX:
                yield f"instance {name} went {path}, which is flapping"
        elif seen != list(fault.expects):
            yield f"instance {name} went {path}, expected {' → '.join(fault.expects) or 'no change'}"


def restless(changes: Sequence[Change], *, since: float) -> Iterator[str]:
    """What to note of the time between two faults, in which no instance should have changed its status."""
    for name in INSTANCES:
        seen = [change.new for change in changes if change.instance == name and change.at >= since]
        if seen:
            yield f"instance {name} went {' → '.join(seen)} before anything was broken"


def alerts(fault: Fault, told: Sequence[Alert]) -> Iterator[str]:
    """What is wrong by I9 in what people were told during a fault: each change once for all instances.

    An instance that was killed may have been the one that was to tell.
    """
    changes = sorted((alert for alert in told if alert.kind == alert_kind("status")), key=attrgetter("at"))
    seen = Counter(dict(alert.facts)["status"] for alert in changes)
    path = " → ".join(dict(alert.facts)["status"] for alert in changes) or "nothing"
    if fault.expects is None:
        if max(seen.values(), default=0) > len(INSTANCES) * ENTERED_MAX:
            yield f"alerts told {path}, which is flapping"
        return
    expected, most = Counter(fault.expects), seen
    if expected["both_fatal"]:  # each instance says it: there was nobody to ask who speaks
        most = reduce(or_, (_told_by(instance, changes) for instance in set(map(_instance, changes))), Counter())
    if most - expected or (expected - seen and not fault.restarts_instances):
        yield f"alerts told {path}, expected {' → '.join(fault.expects) or 'nothing'}"


def _told_by(instance: str, changes: Sequence[Alert]) -> Counter[str]:
    return Counter(dict(alert.facts)["status"] for alert in changes if _instance(alert) == instance)


def _instance(alert: Alert) -> str:
    return dict(alert.facts)["instance"]


def _detected_at(fault: Fault, operator: Operator, instance: str, since: float) -> float | None:
    """When an instance said in its log that something is the matter."""
    if fault.detected_by:
        return min((at for at, _ in operator.lines(instance, fault.detected_by) if at >= since), default=None)
    wanted = list(fault.expects or ())[:1]
    found = (change for change in operator.changes() if change.instance == instance and change.at >= since)
    return min((change.at for change in found if change.new in wanted), default=None)
