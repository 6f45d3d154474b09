"""Texts by name and language. A template may name variables in braces and nothing else: no attributes, no formats."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.errors import ConfigurationError, UnknownTemplate
from core.settings.sending import Template as TemplateSettings
from service.errors import TextUnusable, VariablesMissing

CODE_TEMPLATE = "code"
"""The built-in text of verifications; the settings may lay their own over it."""

TEXT_LENGTH_MAX = 1_000

_BUILT_IN = {
    "en": "{code} is your code. It is valid for {minutes} minutes. Do not share it.",
    "de": "{code} ist Ihr Code. Er gilt {minutes} Minuten. Geben Sie ihn nicht weiter.",
    "es": "{code} es tu código. Es válido durante {minutes} minutos. No lo compartas.",
    "fr": "{code} est votre code. Il est valable {minutes} minutes. Ne le communiquez à personne.",
    "pt": "{code} é o seu código. É válido por {minutes} minutos. Não o partilhe.",
    "zh": "您的验证码是 {code}，{minutes} 分钟内有效，请勿告诉他人。",
}


@dataclass(frozen=True)
class Template:
    """One text in one language."""

    name: str
    locale: str
    text: str
    variables: frozenset[str]

    def require(self, given: Iterable[str]) -> None:
        """Raise `VariablesMissing` that names what the text needs and nobody gave."""
        missing = sorted(self.variables - set(given))
        if missing:
            raise VariablesMissing(f"the template {self.name} also needs {', '.join(missing)}")

    def render(self, values: Mapping[str, str]) -> str:
        """The text with its variables filled in; a value is never read as a template."""
        self.require(values)
        return self.text.format_map(values)


class Templates:
    """All texts of a process. Raises `ConfigurationError` for one that could never be filled in."""

    def __init__(self, configured: Iterable[TemplateSettings]) -> None:
        self._texts: dict[str, dict[str, Template]] = {}
        for locale, text in _BUILT_IN.items():
            self._add(CODE_TEMPLATE, locale, text)
        for row in configured:
            self._add(row.name, row.locale, row.text)

    def find(self, name: str, locale: str) -> Template:
        """The template in `locale`, else in its language, else in English, else in any. Raises `UnknownTemplate`."""
        texts = self._texts.get(name)
        if texts is None:
            raise UnknownTemplate("no template has this name", hint="[[templates]] in the settings lists them")
        wanted = locale.replace("_", "-").lower()
        for candidate in (wanted, wanted.partition("-")[0], "en"):
            if candidate in texts:
                return texts[candidate]
        return next(iter(texts.values()))

    def for_verification(self, name: str, purpose: str, locale: str) -> Template:
        """The template that was asked for, else the one called like the purpose, else the built-in one."""
        template = self.find(name or (purpose if purpose in self._texts else CODE_TEMPLATE), locale)
        if "code" not in template.variables:
            raise UnknownTemplate("this template has no place for a code", hint="write {code} in its text")
        return template

    def _add(self, name: str, locale: str, text: str) -> None:
        self._texts.setdefault(name, {})[locale.replace("_", "-").lower()] = Template(
            name, locale, text, _variables(name, text)
        )


def usable(text: str) -> str:
    """The text as it may be sent. Raises `TextUnusable`."""
    if len(text) > TEXT_LENGTH_MAX:
        raise TextUnusable(f"a text has at most {TEXT_LENGTH_MAX} characters once its variables are filled in")
    if any(unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\r\t" for letter in text):
        raise TextUnusable("the text has control characters")
    if not text.strip():
        raise TextUnusable("the text is empty")
    return text


def _variables(name: str, text: str) -> frozenset[str]:
    try:
        fields = [row for row in string.Formatter().parse(text) if row[1] is not None]
    except ValueError as error:
        raise ConfigurationError(f"template {name}: {error}", hint="write {{ and }} for braces") from None
    for _, field, form, conversion in fields:
        if form or conversion or not (field and field.isidentifier()):
            raise ConfigurationError(f"template {name}: a place is written {{name}}, with nothing else in the braces")
    return frozenset(field for _, field, _, _ in fields if field)
