"""Chance is not news; a fall is told once, at the place that explains it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from metrics.catalogue import metric
from metrics.readings import Reading
from reports.judge import Look, verdict, worth_a_look
from reports.readings import ALL, Compared, Slice

QUIET = Compared(Reading(0.95, 5000), Reading(0.95, 5000), Reading(0.95, 5000))
PROVIDERS, CARRIERS = ("aurora", "beacon", "cumulus", "delta"), ("north", "south", "west")
Channel = tuple[str, str, str]


def part(*names: str, **figures: Compared) -> Slice:
    return Slice(names, dict.fromkeys(ALL, QUIET) | figures)


def fallen(good: int, n: int, *, before: float = 0.95) -> Compared:
    return Compared(Reading(good / n, n), Reading(before, n), Reading(before, n))


def looks_at(good_of_1000: Mapping[Channel, int], *, slug: str = "delivery_rate") -> tuple[Look, ...]:
    """Twelve channels of 1000 messages each, of which 950 are good unless said otherwise."""
    counts = {(p, "DE", c): good_of_1000.get((p, "DE", c), 950) for p in PROVIDERS for c in CARRIERS}

    def summed(wanted: int, name: str) -> Compared:
        found = [good for names, good in counts.items() if names[wanted] == name]
        return fallen(sum(found), 1000 * len(found))

    return worth_a_look(
        [part(p, **{slug: summed(0, p)}) for p in PROVIDERS],
        [part("DE", c, **{slug: summed(2, c)}) for c in CARRIERS],
        [part(*names, **{slug: fallen(good, 1000)}) for names, good in counts.items()],
    )


def test_a_calm_day_has_nothing_worth_a_look():
    assert looks_at({}) == ()


def test_one_bad_channel_is_named_and_neither_its_provider_nor_its_carrier():
    (look,) = looks_at({("cumulus", "DE", "south"): 700})

    assert look.place == ("cumulus", "DE", "south")


def test_a_provider_that_falls_everywhere_is_named_as_a_whole():
    (look,) = looks_at({("cumulus", "DE", carrier): 700 for carrier in CARRIERS})

    assert look.place == ("cumulus", "*", "*")


def test_a_carrier_that_falls_over_every_provider_is_named_as_a_whole():
    (look,) = looks_at({(provider, "DE", "south"): 700 for provider in PROVIDERS})

    assert look.place == ("*", "DE", "south")


def test_the_place_where_most_went_wrong_comes_first():
    found = looks_at({("aurora", "DE", "west"): 850, ("cumulus", "DE", "south"): 600})

    assert [look.place[0] for look in found] == ["cumulus", "aurora"]


def test_a_place_is_told_once_with_its_other_metrics_beside():
    bad = {"delivery_rate": fallen(700, 1000), "fill_rate": fallen(800, 1000)}

    (look,) = worth_a_look([], [], [part("aurora", "DE", "north", **bad)])

    assert (look.worst.metric.slug, [one.slug for one in look.others]) == ("delivery_rate", ["fill_rate"])


def test_more_resends_are_worse():
    (look,) = worth_a_look([part("aurora", resend_rate=fallen(300, 1000, before=0.05))], [], [])

    assert look.worst.metric.slug == "resend_rate"


def test_a_rise_is_no_reason_to_look():
    assert worth_a_look([part("aurora", delivery_rate=fallen(990, 1000, before=0.8))], [], []) == ()


def test_a_channel_without_a_last_week_is_held_against_the_previous():
    new = Compared(Reading(0.7, 1000), Reading(0.95, 1000), Reading())

    (look,) = worth_a_look([part("aurora", delivery_rate=new)], [], [])

    assert look.worst.against == "previous"


def test_a_sunday_is_held_against_a_sunday():
    sunday = Compared(Reading(0.7, 1000), Reading(0.95, 1000), Reading(0.7, 1000))

    assert worth_a_look([part("aurora", delivery_rate=sunday)], [], []) == ()


@pytest.mark.parametrize(("good", "n"), [(10, 40), (9_300, 10_000)])
def test_a_small_sample_and_a_small_fall_are_not_worth_a_morning(good, n):
    assert worth_a_look([part("aurora", delivery_rate=fallen(good, n))], [], []) == ()


def test_chance_alone_names_a_channel_on_few_days():
    rng = np.random.default_rng(20260302)
    alarms = 0
    for _ in range(300):
        drawn = rng.binomial(500, 0.93, size=(40, 2)) / 500
        slices = [
            part(f"p{index}", delivery_rate=Compared(Reading(now, 500), Reading(), Reading(before, 500)))
            for index, (now, before) in enumerate(drawn.tolist())
        ]
        alarms += bool(worth_a_look(slices, [], []))

    assert alarms <= 6  # one day in a hundred, and room for the luck of the draw


@pytest.mark.parametrize(("now", "said"), [(3.0, "better"), (5.0, "worse"), (4.1, "")])
def test_a_median_has_moved_when_it_did_so_by_a_tenth(now, said):
    time = metric("delivery_time")

    assert verdict(time, Reading(now, 500), Reading(4.0, 500), judged_together=1) == said


def test_what_is_undefined_is_not_judged():
    rate = metric("delivery_rate")

    assert verdict(rate, Reading(None, 0), Reading(0.9, 5000), judged_together=1) == ""
    assert verdict(rate, Reading(1.0, 10), Reading(1.0, 10), judged_together=1) == ""
