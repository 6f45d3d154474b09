"""Quotas and the pumping guard, through the API."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from core.numbers import Number
from core.settings.sending import Limits
from service.errors import TooManySends
from service.guards import Guards
from service.guards.exchange import Left
from tests.support.house import House, distinct_numbers, open_house
from tests.support.providers import a_number

OFF = {"codes_per_range_per_hour": 0}
ADDRESS = "192.0.2.7"


def guards(now: list[float], **settings: float) -> Guards:
    return Guards(Limits(**settings), timer=lambda: now[0], random=Random(1), digest=lambda text: f"digest of {text}")


def number(last: int, country: str = "NL", carrier: str = "Mobile") -> Number:
    return Number(e164=f"+0000{last:06d}", country=country, region="", carrier=carrier)


async def test_an_address_is_sent_no_more_codes_than_its_quota(tmp_path):
    async with open_house(tmp_path, limits={**OFF, "codes_per_address_per_hour": 2}) as house:
        numbers = distinct_numbers(4)
        answers = [await house.verify(to, client_address=ADDRESS) for to in numbers[:3]]
        other = await house.verify(numbers[3], client_address="192.0.2.8")

        assert [row.status_code for row in answers] == [201, 201, 429]
        assert answers[2].json()["type"] == "/problems/too-many-sends"
        assert 0 < int(answers[2].headers["retry-after"]) <= 3600
        assert ADDRESS not in answers[2].text
        assert other.status_code == 201


async def test_a_quota_is_free_again_after_an_hour(tmp_path):
    async with open_house(tmp_path, limits={**OFF, "codes_per_app_per_hour": 1}) as house:
        numbers = distinct_numbers(3)
        first, refused = [await house.verify(to) for to in numbers[:2]]
        elsewhere = await house.verify(numbers[1], key="bank")
        house.timer[0] += int(refused.headers["retry-after"]) + 1
        later = await house.verify(numbers[2])

        assert [row.status_code for row in (first, refused, elsewhere, later)] == [201, 429, 201, 201]


async def test_an_address_that_is_none_is_named(house: House):
    answer = await house.verify(a_number(), client_address="nowhere")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "client_address"
    assert "nowhere" not in answer.text


async def test_marketing_takes_nothing_of_a_quota_for_codes(tmp_path):
    async with open_house(tmp_path, limits={**OFF, "codes_per_app_per_hour": 1}) as house:
        message = {"category": "marketing", "text": "Summer sale"}
        for to in distinct_numbers(3):
            assert (await house.call("POST", "/v1/messages", {"to": to, **message})).status_code == 201

        assert (await house.verify(a_number())).status_code == 201


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool):
    house = guards([0.0])
    subjects = [house.subject(app="shop", number=number(1), client_address=text) for text in (one, other)]

    assert (subjects[0].keys["address"] == subjects[1].keys["address"]) is same


def test_numbers_that_differ_in_their_last_three_digits_are_one_range():
    now = [0.0]
    guarded = guards(now, codes_per_range_per_hour=2)
    for last in (1, 2):
        guarded.take(guarded.subject(app="shop", number=number(last)), number(last))

    with pytest.raises(TooManySends):
        guarded.take(guarded.subject(app="shop", number=number(3)), number(3))
    guarded.take(guarded.subject(app="shop", number=number(1003)), number(1003))


def test_what_is_told_holds_neither_number_nor_address():
    guarded = Guards(Limits(codes_per_range_per_hour=1), timer=lambda: 0.0, random=Random(1), digest=lambda _: "hash")
    guarded.take(guarded.subject(app="shop", number=number(1), client_address=ADDRESS), number(1))

    assert set(guarded.to_tell()) == {"quota:range:hash"}


def test_a_quota_counts_what_the_other_instances_sent():
    now = [0.0]
    one = guards(now, codes_per_country_per_hour=10, codes_per_range_per_hour=0)
    other = guards(now, codes_per_country_per_hour=10, codes_per_range_per_hour=0)
    for last in range(6):
        one.take(one.subject(app="shop", number=number(last)), number(last))
    other.hear({key: [Left(count, 0)] for key, count in one.to_tell().items()})
    for last in range(4):
        other.take(other.subject(app="shop", number=number(last)), number(last))

    with pytest.raises(TooManySends):
        other.take(other.subject(app="shop", number=number(9)), number(9))


def test_what_an_instance_that_ended_had_counted_fades_within_the_hour():
    guarded = guards([0.0], codes_per_country_per_hour=10, codes_per_range_per_hour=0)
    country = guarded.subject(app="shop", number=number(0)).keys["country"]
    room = []
    for minutes in (0, 30, 60):
        other = guards([0.0], codes_per_country_per_hour=10, codes_per_range_per_hour=0)
        other.hear({f"quota:country:{country}": [Left("8", minutes * 60)]})
        room.append(0)
        with suppress(TooManySends):
            for last in range(20):
                other.take(other.subject(app="shop", number=number(last)), number(last))
                room[-1] += 1

    assert room == [2, 6, 10]


async def test_a_network_where_no_code_is_entered_is_refused_nine_times_in_ten(tmp_path):
    limits = {
        "codes_per_range_per_hour": 0,
        "codes_per_address_per_hour": 0,
        "pumping_codes_min": 20,
        "refuse_suspected_pumping": True,
    }
    async with open_house(tmp_path, limits=limits) as house:
        before = [(await house.verify(to)).status_code for to in distinct_numbers(20)]
        house.timer[0] += 900
        house.clock.advance(seconds=900)
        after = [(await house.verify(to)).status_code for to in distinct_numbers(30)]

        assert before == [201] * 20
        assert after.count(429) > 20
        assert 201 in after


async def test_a_network_where_codes_are_entered_is_not_suspected(tmp_path):
    limits = {"codes_per_range_per_hour": 0, "pumping_codes_min": 20, "refuse_suspected_pumping": True}
    async with open_house(tmp_path, limits=limits) as house:
        for to in distinct_numbers(20):
            sent = await house.verify(to)
            await house.check(sent.json()["id"], house.code())
        house.timer[0] += 900
        house.clock.advance(seconds=900)

        assert [(await house.verify(to)).status_code for to in distinct_numbers(10)] == [201] * 10
