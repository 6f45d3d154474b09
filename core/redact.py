"""Masks what may be a phone number or a code in text that people will read. A last net: such text should not arrive here."""

from __future__ import annotations

import re

_DIGITS = re.compile(
    r"\+\d[\d ().-]{5,}\d"  # an international number, however it is spaced
    r"|(?<![\w.-])\d{6,15}(?![\w-])",  # six digits or more that are not part of a word, an id or a date
)
MASK = "[masked]"


def redact(text: str) -> str:
    """`text` with every run of digits that may be a number or a code replaced by `[masked]`."""
    return _DIGITS.sub(MASK, text)
