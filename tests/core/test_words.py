"""How shares read: what is not all of it is never written as 100 %, what is not nothing never as 0 %."""

import pytest

from app import words
from core.words import percent, points
from reports.words import count, figure


@pytest.mark.parametrize(
    ("share", "places", "read"),
    [
        (0.5, 0, "50"),
        (0.994, 0, "99"),
        (0.996, 0, "99.6"),
        (0.004, 0, "0.4"),
        (0.99996, 2, "99.996"),
        (0.99996, 1, "99.996"),
        (0.00001, 1, "0.001"),
        (1 - 1e-9, 0, "99.9999"),
        (1e-9, 0, "0.0001"),
        (1.0, 1, "100.0"),
        (0.0, 1, "0.0"),
        (1 - 1e-16, 1, "100.0"),
        (1.25, 0, "125"),
        (-0.002, 1, "-0.2"),
    ],
)
def test_a_share_gets_the_decimals_that_keep_it_from_reading_as_whole(share, places, read):
    assert points(share, places) == read


def test_pages_alerts_and_mails_write_shares_by_the_same_rule():
    told = [words.figure(0.99996, "ratio"), percent(0.99996), figure(0.99996, "ratio"), words.figure(0.00002, "ratio")]

    assert [one.replace("\N{NO-BREAK SPACE}", " ") for one in told] == ["99.996 %", "99.996 %", "99.996 %", "0.002 %"]


def test_pages_and_mails_group_thousands_alike():
    assert words.count(1_234_567) == count(1_234_567) == "1,234,567"


def test_a_page_says_where_its_buckets_are_not_those_of_its_zone():
    zones = [("1d", "Asia/Shanghai"), ("6h", "Asia/Shanghai"), ("1h", "Asia/Shanghai"), ("1d", "UTC")]

    assert [words.utc_buckets(*one) for one in zones] == [
        " Days are those of UTC here.",
        " They begin at 0, 6, 12 and 18 h UTC.",
        "",
        "",
    ]
