"""The simulated world: numbers that the service reads as the world means them, believable fates, faults that show."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.numbers import read
from core.settings.sending import Code
from sandbox.drills import FAULT_KINDS
from sandbox.world import (
    COUNTRIES,
    NAMED_FAULTS,
    PROVIDER_WEIGHTS,
    PROVIDERS,
    TEXTS,
    Channel,
    Fault,
    World,
    areas,
    make_number,
    named_fault,
    template_of,
)
from sandbox.world.fates import Draw, Odds, draw_fates
from sandbox.world.people import draw_people
from sandbox.world.traffic import APPS, CODE_TEMPLATES, PURPOSES, demand, season

NOON = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
WEEK = [NOON + timedelta(minutes=10 * step) for step in range(7 * 144)]
SOMEWHERE = {"carrier": "China Mobile", "country": "CN", "region": "Henan", "template": "code-plain"}


def many(world: World, *, count: int = 20_000, at: datetime = NOON, **place: str) -> Draw:
    way = world.channel(**{"provider": "aurora", **SOMEWHERE, **place}, at=at)
    odds = Odds.of([way])
    columns = {name: np.repeat(values, count, axis=0) for name, values in odds.columns.items()}
    return draw_fates(world.rng(9), Odds(columns, size=count))


def delivered_share(draw: Draw) -> float:
    return float(np.mean((draw.delivered & np.isfinite(draw.final_seconds))[draw.answer == 0]))


def shown_share(draw: Draw) -> float:
    return float(np.mean(np.isfinite(draw.arrives_seconds)))


def test_a_number_is_read_as_the_country_carrier_and_region_it_was_made_for():
    rng = World(seed=1).rng()
    wrong = []
    for area in areas():
        for _ in range(8):
            number = read(make_number(rng, area.country, area.carrier, area.region))
            if (number.country, number.carrier, number.region) != (area.country, area.carrier, area.region):
                wrong.append((area, number.country, number.carrier, number.region))

    assert not wrong


def test_every_prefix_of_every_carrier_makes_valid_numbers():
    rng = World(seed=1).rng()
    prefixes = [
        (country, carrier, region, prefix)
        for country in COUNTRIES.values()
        for carrier in country.carriers
        for region, found in carrier.prefixes.items()
        for prefix in found
    ]
    for country, carrier, region, prefix in prefixes:
        rest = country.digits - len(prefix)
        number = read(f"+{country.calling_code}{prefix}{int(rng.integers(10**rest)):0{rest}d}")

        assert (country.code, carrier.name, region) == (number.country, number.carrier, number.region)


def test_a_number_without_a_wanted_region_falls_where_the_carriers_people_live():
    rng = World(seed=1).rng()
    regions = Counter(read(make_number(rng, "CN", "China Unicom")).region for _ in range(300))

    assert regions.most_common(1)[0][0] == "Guangdong"
    assert len(regions) > 8


def test_a_carrier_that_a_country_does_not_have_is_a_key_error():
    with pytest.raises(KeyError, match="DE"):
        make_number(World(seed=1).rng(), "DE", "China Mobile")


def test_shares_sum_to_one():
    for shares in (APPS, PURPOSES, PROVIDER_WEIGHTS, *CODE_TEMPLATES.values()):
        assert pytest.approx(1) == sum(shares.values())
    assert pytest.approx(1) == sum(area.weight for area in areas())
    assert len(COUNTRIES) == 8


def test_the_same_seed_gives_the_same_fates():
    def fates(seed: int) -> list[object]:
        world = World(seed=seed)
        rng = world.rng()
        return [world.fate(rng, provider="delta", **SOMEWHERE, at=NOON) for _ in range(50)]

    assert fates(3) == fates(3)
    assert fates(3) != fates(4)


def test_receipts_are_in_time_order_and_a_final_one_may_come_twice():
    world = World(seed=2)
    rng = world.rng()
    fates = [world.fate(rng, provider="delta", **SOMEWHERE, at=NOON) for _ in range(2_000)]
    finals = [[receipt for receipt in fate.receipts if receipt.status != "pending"] for fate in fates]

    for fate in fates:
        assert sorted(receipt.after_seconds for receipt in fate.receipts) == [r.after_seconds for r in fate.receipts]
    assert max(len(receipts) for receipts in finals) == 2
    assert all(first.status == second.status for first, second in (two for two in finals if len(two) == 2))


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("country", COUNTRIES)
def test_a_healthy_channel_is_believable(provider: str, country: str):
    carrier = COUNTRIES[country].carriers[0].name
    draw = many(World(seed=1), provider=provider, country=country, carrier=carrier, region="")
    delivered = draw.final_seconds[draw.delivered & np.isfinite(draw.final_seconds)]

    assert 0.95 < np.mean(draw.answer == 0) < 0.999
    assert 0.80 < delivered_share(draw) < 0.985
    assert 1 < np.median(delivered) < 20
    assert np.percentile(delivered, 99) > 4 * np.median(delivered)
    assert 0.003 < np.mean(np.isfinite(draw.duplicate_seconds)) < 0.04


def test_each_provider_has_habits_of_its_own():
    draws = {provider: many(World(seed=1), provider=provider) for provider in PROVIDERS}
    early = {name: np.mean(draw.final_seconds < draw.answer_seconds) for name, draw in draws.items()}
    interim = {name: np.mean(np.isfinite(draw.pending_seconds)) for name, draw in draws.items()}
    named = {name: np.mean(draw.names_carrier) for name, draw in draws.items()}

    assert early["cumulus"] > 0.02 > max(early["aurora"], early["delta"]) * 2
    assert interim["beacon"] > interim["delta"] > interim["aurora"] == 0
    assert named["aurora"] > named["delta"] > named["beacon"] == 0
    assert len({round(delivered_share(draw), 3) for draw in draws.values()}) == 4


def test_a_provider_that_does_not_answer_may_have_sent_the_message():
    draw = many(World(seed=1, faults=[named_fault("provider-outage", start=NOON)]))
    unanswered = draw.answer == 3

    assert 0.3 < np.mean(np.isfinite(draw.arrives_seconds[unanswered])) < 0.6
    assert not np.isfinite(draw.arrives_seconds[(draw.answer == 1) | (draw.answer == 2)]).any()


SHOWN_BY = {
    "carrier-drop": lambda well, ill: delivered_share(ill) < 0.5 * delivered_share(well),
    "provider-outage": lambda well, ill: np.mean(ill.answer == 0) < 0.2,
    "receipts-stop": lambda well, ill: (
        not np.isfinite(ill.final_seconds).any() and abs(shown_share(ill) - shown_share(well)) < 0.02
    ),
    "slow-channel": lambda well, ill: np.nanmedian(ill.arrives_seconds) > 8 * np.nanmedian(well.arrives_seconds),
    "template-blocked": lambda well, ill: delivered_share(ill) < 0.2,
    "fake-receipts": lambda well, ill: delivered_share(ill) > 0.95 and shown_share(ill) < 0.15,
}


def in_scope(fault: Fault) -> dict[str, str]:
    scope = {"provider": fault.provider, "carrier": fault.carrier, "country": fault.country, "template": fault.template}
    place = {**SOMEWHERE, **{name: value for name, value in scope.items() if value}}
    if fault.country and not fault.carrier:
        place["carrier"] = COUNTRIES[fault.country].carriers[0].name
    return place


@pytest.mark.parametrize("name", SHOWN_BY)
def test_a_fault_shows_in_its_scope(name: str):
    fault = named_fault(name, start=NOON)
    well, ill = many(World(seed=1), **in_scope(fault)), many(World(seed=1, faults=[fault]), **in_scope(fault))

    assert SHOWN_BY[name](well, ill)


@pytest.mark.parametrize("name", NAMED_FAULTS)
def test_a_fault_changes_nothing_outside_its_scope_and_time(name: str):
    fault = named_fault(name, start=NOON, end=NOON + timedelta(hours=1))
    healthy, broken = World(seed=1), World(seed=1, faults=[fault])
    elsewhere = {"provider": "cumulus", "carrier": "EE", "country": "GB", "region": "", "template": "code-plain"}
    inside = {"provider": "aurora", **in_scope(fault)}

    def channels(world: World, place: dict[str, str], at: datetime) -> Channel:
        return world.channel(**place, at=at)

    assert channels(healthy, elsewhere, NOON) == channels(broken, elsewhere, NOON)
    for at in (NOON - timedelta(seconds=1), NOON + timedelta(hours=1)):
        assert channels(healthy, inside, at) == channels(broken, inside, at)
        assert (demand(at) == demand(at, broken.faults)).all()


def test_pumping_brings_traffic_that_no_person_asked_for():
    world = World(seed=1, faults=[named_fault("pumping", start=NOON)])
    rng = world.rng()
    wishes = [world.wish(rng, NOON) for _ in range(3_000)]
    pumped = [wish for wish in wishes if wish.area.carrier == "Smartfren"]

    assert world.busy(NOON) > World(seed=1).busy(NOON)
    assert 0.7 < np.mean([wish.bot for wish in pumped]) < 1
    assert not any(wish.bot for wish in wishes if wish.area.carrier != "Smartfren")


def test_pace_shortens_every_wait():
    usual, quick = World(seed=6), World(seed=6, pace=0.01)
    at_ease = usual.fate(usual.rng(), provider="aurora", **SOMEWHERE, at=NOON)
    hurried = quick.fate(quick.rng(), provider="aurora", **SOMEWHERE, at=NOON)

    assert pytest.approx(at_ease.answer_seconds * 0.01) == hurried.answer_seconds
    assert at_ease.arrives_seconds is not None
    assert pytest.approx(at_ease.arrives_seconds * 0.01) == hurried.arrives_seconds
    assert pytest.approx(usual.person(usual.rng()).types_seconds * 0.01) == quick.person(quick.rng()).types_seconds
    with pytest.raises(ValueError, match="above zero"):
        World(seed=1, pace=0)


def test_a_week_of_demand_comes_to_one_in_the_mean():
    assert pytest.approx(1, abs=0.02) == np.mean([demand(at).sum() for at in WEEK])


def test_evenings_are_busy_and_nights_quiet_by_local_time():
    evening_in_shanghai = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
    night_in_shanghai = datetime(2026, 3, 11, 20, 0, tzinfo=UTC)
    sunday, wednesday = datetime(2026, 3, 15, 11, tzinfo=UTC), datetime(2026, 3, 11, 11, tzinfo=UTC)

    assert season("CN", evening_in_shanghai) > 5 * season("CN", night_in_shanghai)
    assert season("US", night_in_shanghai) > season("US", night_in_shanghai - timedelta(hours=12))
    assert season("DE", sunday) < season("DE", wednesday)


def test_nobody_asks_again_sooner_or_tries_more_often_than_the_service_allows():
    people, allowed = draw_people(World(seed=1).rng(), 5_000), Code()

    assert (people.patience_seconds[:, :3] > np.array(allowed.cooldown_seconds)).all()
    assert people.mistypes.max() + 1 <= allowed.checks_max
    assert not people.asks_again[:, -1].any()


def test_every_text_exists_in_every_language_and_is_recognised_when_filled_in():
    values = {"code": "1" * 6, "minutes": "10", "window": "9:00 - 11:00", "percent": "30"}
    for text in TEXTS:
        assert {country.locale for country in COUNTRIES.values()} == set(text.locales)
        for body in text.locales.values():
            assert text.name == template_of(body.format_map(values))
    assert template_of("hello") == ""


def test_the_readme_names_every_fault_there_is():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

    assert [name for name in NAMED_FAULTS if f"`{name}`" not in readme] == []
    assert {*FAULT_KINDS} - {"delivery-drop"} | {"carrier-drop"} == {*NAMED_FAULTS}
