"""How many parts an SMS text takes: providers bill by the part."""

from __future__ import annotations

_GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM7_ESCAPED = frozenset("^{}\\[~]|€\f")


def segments_of(text: str) -> int:
    """SMS parts of a text (3GPP TS 23.038): 160 or 153 septets in the GSM alphabet, else 70 or 67 UTF-16 units."""
    if all(letter in _GSM7 or letter in _GSM7_ESCAPED for letter in text):
        length, one, more = len(text) + sum(letter in _GSM7_ESCAPED for letter in text), 160, 153
    else:
        length, one, more = len(text.encode("utf-16-le", "surrogatepass")) // 2, 70, 67
    return 1 if length <= one else min(20, -(-length // more))
