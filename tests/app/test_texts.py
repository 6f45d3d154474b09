"""Tables of words as HTML."""

from __future__ import annotations

from app import texts


def test_what_comes_from_data_is_text_and_nothing_else() -> None:
    table = texts.html("Alerts", [texts.Column("What", ["<img src=x onerror=alert(1)>", ""], "long")])

    assert "&lt;img src=x onerror=alert(1)&gt;" in table
    assert 'class="hg-long hg-none" data-title="What">–</td>' in table


def test_each_text_carries_its_title_for_a_card() -> None:
    table = texts.html("Alerts", [texts.Column("When", ["today"]), texts.Column("n", [3], "number")])

    assert '<td role="cell" class="hg-brief" data-title="When">today</td>' in table
    assert '<td role="cell" class="hg-number" data-title="n">3</td>' in table
