"""Phone numbers: read into E.164 and dimensions, hashed where they are counted, sealed where they travel.

The number itself leaves this module only towards a provider, or sealed.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from os import urandom

import phonenumbers
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from phonenumbers import carrier as carriers
from phonenumbers import geocoder

from core.errors import BadInput, InvalidNumber

_NONCE_BYTES = 12


@dataclass(frozen=True)
class Number:
    """A number that can receive messages. `carrier` is what its prefix says; `repr` shows no number."""

    e164: str
    country: str
    region: str
    carrier: str

    def __repr__(self) -> str:
        return f"Number(country={self.country!r}, carrier={self.carrier!r})"


def read(text: str, *, default_country: str = "") -> Number:
    """The number that `text` names. Raises `InvalidNumber`; its message says what is wrong, without the number."""
    try:
        parsed = phonenumbers.parse(text, default_country or None)
    except phonenumbers.NumberParseException as error:
        hint = "write it in E.164: a plus sign, the country code, the number"
        raise InvalidNumber(_PARSE_FAULTS.get(error.error_type, "not a phone number"), hint=hint) from None
    kind = phonenumbers.number_type(parsed)
    if kind == phonenumbers.PhoneNumberType.UNKNOWN:  # what is_valid_number asks, too, and works out a second time
        raise InvalidNumber("no number of this length and prefix exists in its country")
    if kind in _CANNOT_RECEIVE:
        raise InvalidNumber("a number of this type cannot receive messages")
    # Functions for numbers known to be valid: the others work the type out again, twice the time for all of `read`.
    return Number(
        e164=phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164),
        country=phonenumbers.region_code_for_number(parsed) or "",
        region=_region(parsed) if phonenumbers.is_number_type_geographical(kind, parsed.country_code or 0) else "",
        carrier=carriers.name_for_valid_number(parsed, "en") if kind in _HAS_CARRIER else "",
    )


def _region(parsed: phonenumbers.PhoneNumber) -> str:
    """The province or state: the widest place below the country that the prefix tells, empty when it tells none."""
    place = geocoder.description_for_valid_number(parsed, "en").rpartition(", ")[2]
    country = geocoder.description_for_valid_number(parsed, "en", region=_NO_REGION)
    return "" if place == country else place


class NumberHash:
    """The keyed hash that stands for a number wherever numbers are counted or looked up.

    HMAC-SHA-256, cut to 128 bits: without the key the ten billion numbers there are cannot be tried.
    """

    def __init__(self, key: str) -> None:
        self._keyed = hmac.new(key.encode(), digestmod=sha256)

    def __call__(self, e164: str) -> str:
        """32 hex digits."""
        keyed = self._keyed.copy()
        keyed.update(e164.encode())
        return keyed.hexdigest()[:32]


class Seal:
    """Closes a number for its way through the queue: AES-256-GCM, bound to the request it belongs to."""

    def __init__(self, key: str) -> None:
        self._cipher = AESGCM(sha256(b"heliograph number seal\0" + key.encode()).digest())

    def close(self, e164: str, *, request_id: str) -> bytes:
        """Nonce and ciphertext."""
        nonce = urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, e164.encode(), request_id.encode())

    def open(self, sealed: bytes, *, request_id: str) -> str:
        """The number. Raises `BadInput` when it was sealed with another key or for another request."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], request_id.encode()).decode()
        except (InvalidTag, ValueError):
            raise BadInput("a sealed number does not open: another key, or another request") from None


_PARSE_FAULTS = {
    phonenumbers.NumberParseException.INVALID_COUNTRY_CODE: "the number has no country code, or one that does not exist",
    phonenumbers.NumberParseException.TOO_SHORT_AFTER_IDD: "the number is too short",
    phonenumbers.NumberParseException.TOO_SHORT_NSN: "the number is too short",
    phonenumbers.NumberParseException.TOO_LONG: "the number is too long",
}
_NO_REGION = "ZZ"
"""Seen from anywhere but its own country, a number is described by the country alone."""
_HAS_CARRIER = {
    phonenumbers.PhoneNumberType.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    phonenumbers.PhoneNumberType.PAGER,
}
_CANNOT_RECEIVE = {
    phonenumbers.PhoneNumberType.FIXED_LINE,
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
    phonenumbers.PhoneNumberType.TOLL_FREE,
    phonenumbers.PhoneNumberType.SHARED_COST,
    phonenumbers.PhoneNumberType.UAN,
    phonenumbers.PhoneNumberType.VOICEMAIL,
}
