"""Texts are found by name and language, and filled in with nothing but what they name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigurationError, UnknownTemplate
from core.settings.sending import Template
from service.errors import VariablesMissing
from service.templates import CODE_TEMPLATE, Templates


@pytest.mark.parametrize(
    ("locale", "starts"), [("de", "0 ist"), ("de_CH", "0 ist"), ("DE-at", "0 ist"), ("en-GB", "0 is your"), ("fi", "0 is your")]
)  # fmt: skip
def test_the_nearest_language_is_taken(locale: str, starts: str):
    text = Templates([]).find(CODE_TEMPLATE, locale).render({"code": "0", "minutes": "10"})

    assert text.startswith(starts)


def test_the_settings_lay_their_text_over_the_built_in_one():
    texts = Templates([Template(name="code", locale="en", text="Yours: {code}")])

    assert texts.for_verification("", "login", "en").render({"code": "0"}) == "Yours: 0"


def test_a_verification_takes_the_template_called_like_its_purpose():
    texts = Templates([Template(name="pay", text="Pay with {code}")])

    assert texts.for_verification("", "pay", "en").name == "pay"
    assert texts.for_verification("", "login", "en").name == CODE_TEMPLATE


def test_an_unknown_name_is_refused():
    with pytest.raises(UnknownTemplate):
        Templates([]).find("nope", "en")


@pytest.mark.parametrize("text", ["{code.__class__}", "{code[0]}", "{code!r}", "{code:>9}", "{}", "{0}", "{", "}"])
def test_a_text_that_asks_for_more_than_a_name_is_refused_at_the_start(text: str):
    with pytest.raises(ConfigurationError):
        Templates([Template(name="bad", text=text)])


def test_what_is_missing_is_named():
    with pytest.raises(VariablesMissing, match="amount, shop"):
        Templates([Template(name="pay", text="{code} {shop} {amount}")]).find("pay", "en").require({"code"})


@given(st.text(max_size=50))
def test_a_value_is_never_read_as_a_template(value: str):
    text = Templates([Template(name="say", text="<{what}>")]).find("say", "en")

    assert text.render({"what": value}) == f"<{value}>"
