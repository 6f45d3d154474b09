"""The simulated past: events that ingest can read, that belong together, and that look like the live world."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from core.events import AnyEvent, Inbound, Receipt, Send, Verify, decode_lines
from core.ids import time_of
from core.settings.sending import Code, Provider, Routing
from sandbox.history import live_rate_per_minute, past, past_incidents, write_history
from sandbox.history.lines import RECEIPTS, REFUSALS, request_ids
from sandbox.world import PROVIDERS, Area, Fault, World, areas, lives, named_fault
from sandbox.world.channels import FAILURES
from sandbox.world.channels import REFUSALS as REFUSAL_CLASSES
from sandbox.world.faults import DENIED
from service.providers.base.pushed import receipt_row
from service.providers.base.references import reference_of

END = datetime(2026, 3, 11, 12, 34, 56, tzinfo=UTC)
DAYS = 4
PER_DAY = 4_000


class Telling:
    """The events of some files."""

    def __init__(self, paths: list[Path]) -> None:
        self.events: list[AnyEvent] = []
        for path in paths:
            good, bad = decode_lines(path.read_bytes())
            assert not bad, f"{path.name}: {bad[0].reason}"
            self.events += good
        self.sends = [event for event in self.events if isinstance(event, Send)]
        self.receipts = [event for event in self.events if isinstance(event, Receipt)]
        self.checks = [event for event in self.events if isinstance(event, Verify)]
        self.inbound = [event for event in self.events if isinstance(event, Inbound)]


def tell(folder: Path, *, seed: int = 7, faults: tuple[Fault, ...] = (), days: int = DAYS) -> list[Path]:
    world = World(seed=seed, faults=faults)
    return write_history(
        folder, world=world, end=END, days=days, verifications_per_day=PER_DAY, progress=lambda _done, _total: None
    )


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return tell(tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="module")
def told(paths: list[Path]) -> Telling:
    return Telling(paths)


def final_receipts(told: Telling) -> dict[tuple[UUID, int], Receipt]:
    finals: dict[tuple[UUID, int], Receipt] = {}
    for receipt in sorted(told.receipts, key=lambda receipt: receipt.at):
        if receipt.status != "pending":
            finals.setdefault((receipt.request_id, receipt.attempt), receipt)
    return finals


def test_every_attempt_is_told_once_and_numbered_without_gaps(told: Telling):
    numbers = defaultdict(list)
    for send in told.sends:
        numbers[send.request_id].append(send.attempt)

    assert len({send.event_id for send in told.sends}) == len(told.sends)
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in numbers.values())


def test_a_request_id_carries_the_time_of_its_first_attempt(told: Telling):
    gaps = [abs(time_of(send.request_id) - send.at) for send in told.sends if send.attempt == 1]

    assert max(gaps) <= timedelta(milliseconds=1)
    assert all(send.request_id.version == 7 for send in told.sends)


def test_request_ids_of_one_moment_differ():
    ids = request_ids(np.random.default_rng(1), np.full(1_000, END.timestamp()))

    assert len(set(ids)) == 1_000
    assert {str(UUID(text)) for text in ids} == set(ids)


def test_receipts_and_checks_belong_to_an_attempt_and_come_after_it(told: Telling):
    sent = {(send.request_id, send.attempt): send for send in told.sends}

    for receipt in told.receipts:
        send = sent[receipt.request_id, receipt.attempt]
        assert receipt.at >= send.at
        assert receipt.provider == send.provider
    for check in told.checks:
        send = sent[check.request_id, max(check.attempt, 1)]
        assert check.at > send.at
        assert check.provider == (send.provider if check.attempt else "")


def test_a_verification_is_approved_at_most_once_within_its_lifetime_and_checks_are_counted(told: Telling):
    approvals = Counter(check.request_id for check in told.checks if check.result == "approved")
    numbers = defaultdict(list)
    for check in told.checks:
        numbers[check.request_id].append(check.check)
        if check.result == "approved":
            assert check.at - time_of(check.request_id) <= timedelta(seconds=Code().lifetime_seconds)

    assert set(approvals.values()) == {1}
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in numbers.values())
    assert max(map(len, numbers.values())) <= Code().checks_max


def test_everything_that_a_demonstration_shows_is_in_it(told: Telling):
    assert {send.cause for send in told.sends} == {"first", "failover", "resend"}
    assert {send.category for send in told.sends} == {"code", "notification", "marketing"}
    assert {send.outcome for send in told.sends} == {"accepted", "rejected", "failed", "unknown"}
    assert {send.provider for send in told.sends} == set(PROVIDERS)
    assert {(send.country, send.carrier, send.region) for send in told.sends} == {
        (area.country, area.carrier, area.region) for area in areas()
    }
    assert {check.result for check in told.checks} == {"approved", "wrong", "expired"}
    assert {check.source for check in told.checks} == {"check", "conversion"}
    assert {receipt.status for receipt in told.receipts} == {"delivered", "failed", "pending"}
    assert len({send.phone_hash for send in told.sends}) < len({send.request_id for send in told.sends})
    assert {inbound.phone_hash for inbound in told.inbound} <= {send.phone_hash for send in told.sends}
    assert told.inbound


def test_the_volume_is_as_asked(told: Telling):
    verifications = {send.request_id for send in told.sends if send.category == "code"}

    assert pytest.approx(len(verifications), rel=0.06) == PER_DAY * DAYS
    assert live_rate_per_minute(PER_DAY) * 1440 == PER_DAY


def test_files_hold_one_kind_of_one_day_and_only_the_last_goes_beyond_the_end(paths: list[Path]):
    *dated, outstanding = paths
    kinds = {"send": Send, "receipt": Receipt, "verify": Verify, "inbound": Inbound}
    for path in dated:
        kind, _, day = path.stem.partition("-")
        for event in Telling([path]).events:
            assert type(event) is kinds[kind]
            assert END > event.at >= datetime.fromisoformat(day).replace(tzinfo=UTC)
    late = Telling([outstanding])

    assert late.events
    assert all(event.at >= END for event in late.events)
    assert not [send for send in late.sends if send.cause != "failover"]


def test_the_same_seed_gives_the_same_files(tmp_path: Path):
    def read(name: str, seed: int) -> list[bytes]:
        return [path.read_bytes() for path in tell(tmp_path / name, seed=seed, days=1)]

    first = read("first", 1)

    assert first == read("again", 1)
    assert first != read("other", 2)


def test_progress_goes_from_nothing_to_all(tmp_path: Path):
    seen: list[tuple[int, int]] = []
    write_history(
        tmp_path,
        world=World(seed=1),
        end=END,
        days=2,
        verifications_per_day=100,
        progress=lambda done, total: seen.append((done, total)),
    )

    assert seen == [(done, 3) for done in range(4)]


def test_nobody_at_all_is_a_history_too(tmp_path: Path):
    paths = write_history(
        tmp_path, world=World(seed=1), end=END, days=1, verifications_per_day=0, progress=lambda _done, _total: None
    )

    assert not Telling(paths).events


def requests_of(*, area: int, template: int, count: int) -> lives.Requests:
    """So many of one kind, at no time in particular."""
    zeros = np.zeros(count, dtype=np.int64)
    full = {"area": zeros + area, "template": zeros + template}
    return lives.Requests(at=np.zeros(count), app=zeros, purpose=zeros, category=zeros, bot=zeros > 0, **full)


def test_history_is_drawn_from_the_channels_that_live_traffic_meets():
    world = World(seed=1, faults=[named_fault("carrier-drop", start=END, end=END + timedelta(hours=1))])
    routes = past.Routes(world)
    unicom = next(row for row, area in enumerate(areas()) if area.carrier == "China Unicom")
    area: Area = areas()[unicom]
    for moment in (END - timedelta(hours=1), END, END + timedelta(hours=1)):
        count = 4_000
        drawn = routes.draw(
            world.rng(),
            requests_of(area=unicom, template=lives.TEMPLATES.index("code-plain"), count=count),
            np.arange(count),
            provider=np.full(count, PROVIDERS.index("beacon")),
            at=np.full(count, moment.timestamp()),
        )
        way = world.channel(
            provider="beacon",
            carrier=area.carrier,
            country=area.country,
            region=area.region,
            template="code-plain",
            at=moment,
        )

        assert np.mean(drawn.delivered[drawn.answer == 0]) == pytest.approx(way.delivered, abs=0.03)


def test_the_incidents_of_the_past_are_known_and_show(tmp_path: Path):
    incidents = past_incidents(end=END, days=DAYS)
    outage = next(incident for incident in incidents if incident.kind == "provider-outage")
    sends = Telling(tell(tmp_path)).sends
    tried = [send for send in sends if send.provider == outage.provider]
    meanwhile = [send.outcome == "accepted" for send in tried if outage.active(send.at)]
    otherwise = [send.outcome == "accepted" for send in tried if not outage.active(send.at)]

    assert len(meanwhile) > 20
    assert np.mean(meanwhile) < 0.3 < 0.95 < np.mean(otherwise)
    assert [incident.kind for incident in past_incidents(end=END, days=14)] == [
        "receipts-stop", "carrier-drop", "template-blocked", "verification-broken", "provider-outage", "black-hole",
    ]  # fmt: skip
    assert past_incidents(end=END, days=1) == ()


def test_a_broken_verification_of_the_past_calls_right_codes_wrong(tmp_path: Path):
    broken = replace(named_fault("verification-broken", start=END - timedelta(hours=12)), app="bank")
    first = [check for check in Telling(tell(tmp_path, faults=(broken,), days=1)).checks if check.check == 1]

    def right(app: str, *, meanwhile: bool) -> float:
        told = [
            check.result == "approved" for check in first if check.app == app and broken.active(check.at) == meanwhile
        ]
        return float(np.mean(told))

    assert right("bank", meanwhile=True) == pytest.approx((1 - DENIED) * right("bank", meanwhile=False), abs=0.06)
    assert right("shop", meanwhile=True) > 0.9


def test_a_fault_of_the_world_that_began_before_the_end_is_in_the_history(tmp_path: Path):
    drop = named_fault("carrier-drop", start=END - timedelta(hours=3))
    told = Telling(tell(tmp_path, faults=(drop,), days=1))
    finals = final_receipts(told)
    hit = [
        finals[send.request_id, send.attempt].status == "delivered"
        for send in told.sends
        if send.carrier == "China Unicom" and drop.active(send.at) and (send.request_id, send.attempt) in finals
    ]

    assert np.mean(hit) < 0.7


def test_the_past_obeys_the_limits_that_the_service_has_by_default():
    code, routing = Code(), Routing()
    provider = Provider(name="any", kind="any", url="any")

    assert code.lifetime_seconds == lives.LIFETIME_SECONDS
    assert provider.timeout_seconds == lives.TIMEOUT_SECONDS
    assert routing.deadline_seconds - 0.25 == lives.DEADLINE_SECONDS
    assert routing.attempts_max == lives.TRIES_MAX


@pytest.mark.parametrize("provider", PROVIDERS)
def test_providers_speak_in_words_that_their_adapters_read_alike(provider: str):
    adapter = import_module(f"service.providers.{provider}")
    reference = reference_of(UUID(request_ids(np.random.default_rng(1), np.array([END.timestamp()]))[0]), 1)
    for said, (status, code) in RECEIPTS[provider].items():
        row = receipt_row(reference=reference, status=status, code=code, statuses=adapter.STATUSES, codes=adapter.CODES)
        expected = (said, "") if said in ("pending", "delivered") else ("failed", said)
        assert (row.status, row.error_class) == expected

    assert set(FAILURES) <= set(RECEIPTS[provider])
    assert {said: adapter.CODES[code] for said, code in REFUSALS[provider].items()} == {
        said: said for said in REFUSAL_CLASSES
    }
