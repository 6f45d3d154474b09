"""Who asks for messages, for what, and when: apps, purposes, texts, and the season of days and weeks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.events import Category
from sandbox.world.faults import Fault
from sandbox.world.places import COUNTRIES, Area, areas

APPS: Mapping[str, float] = {"shop": 0.50, "bank": 0.28, "ride": 0.22}
"""The senders, each with its share of the verifications."""

PURPOSES: Mapping[str, float] = {"login": 0.56, "signup": 0.22, "payment": 0.16, "reset": 0.06}

CODE_TEMPLATES: Mapping[str, Mapping[str, float]] = {
    # which text a purpose uses, and how often
    "login": {"code-plain": 0.6, "code-branded": 0.4},
    "signup": {"code-plain": 0.3, "code-branded": 0.7},
    "payment": {"code-payment": 1.0},
    "reset": {"code-plain": 1.0},
}
NOTIFICATIONS_PER_VERIFICATION = 0.10
MARKETING_PER_VERIFICATION = 0.03
STOPS_PER_MESSAGE = 0.0005
"""Share of messages that are answered with STOP."""

MESSAGES_APP = "shop"
"""The app that sends the messages without a code."""

OWN_CODES_APP = "ride"
"""The app that makes its own codes, sends them as messages, and tells which were entered."""

VALUES: Mapping[str, tuple[str, ...]] = {
    # what the variables of `TEXTS` are filled with
    "window": ("9:00 - 11:00", "11:00 - 13:00", "14:00 - 16:00", "18:00 - 20:00"),
    "percent": ("10", "20", "30", "50"),
}


@dataclass(frozen=True)
class Text:
    """One template in every language of the world; `variables` are the names it wants besides code and minutes."""

    name: str
    category: Category
    locales: Mapping[str, str]
    variables: tuple[str, ...] = ()


TEXTS: tuple[Text, ...] = (
    Text("code-plain", "code", {
        "en": "{code} is your code. It is valid for {minutes} minutes.",
        "zh-CN": "您的验证码是{code}，{minutes}分钟内有效。",
        "de": "{code} ist Ihr Code. Er gilt {minutes} Minuten.",
        "pt-BR": "{code} é o seu código. Vale por {minutes} minutos.",
        "id": "{code} adalah kode Anda. Berlaku {minutes} menit.",
    }),
    Text("code-branded", "code", {
        "en": "Helio: use {code} to go on. Valid for {minutes} minutes. Never share it.",
        "zh-CN": "【日光】验证码{code}，{minutes}分钟内有效，请勿告诉他人。",
        "de": "Helio: Mit {code} geht es weiter. {minutes} Minuten gültig. Niemandem zeigen.",
        "pt-BR": "Helio: use {code} para continuar. Vale por {minutes} minutos. Não compartilhe.",
        "id": "Helio: gunakan {code} untuk lanjut. Berlaku {minutes} menit. Jangan dibagikan.",
    }),
    Text("code-payment", "code", {
        "en": "Confirm your payment with {code} within {minutes} minutes. Not you? Call your bank.",
        "zh-CN": "付款验证码{code}，{minutes}分钟内有效。非本人操作请联系银行。",
        "de": "Bestätigen Sie die Zahlung mit {code} binnen {minutes} Minuten. Nicht Sie? Rufen Sie Ihre Bank an.",
        "pt-BR": "Confirme o pagamento com {code} em {minutes} minutos. Não foi você? Ligue para o banco.",
        "id": "Konfirmasi pembayaran dengan {code} dalam {minutes} menit. Bukan Anda? Hubungi bank.",
    }),
    Text("code-short", "code", {  # registered, taken into use only in drills: a new template is no fault
        "en": "{code}: your code for {minutes} minutes.",
        "zh-CN": "验证码{code}，{minutes}分钟有效。",
        "de": "{code}: Ihr Code für {minutes} Minuten.",
        "pt-BR": "{code}: seu código por {minutes} minutos.",
        "id": "{code}: kode Anda selama {minutes} menit.",
    }),
    Text("parcel-arriving", "notification", {
        "en": "Your parcel arrives today between {window}.",
        "zh-CN": "您的包裹将于今天{window}送达。",
        "de": "Ihr Paket kommt heute zwischen {window}.",
        "pt-BR": "Sua encomenda chega hoje entre {window}.",
        "id": "Paket Anda tiba hari ini antara {window}.",
    }, ("window",)),
    Text("weekend-offer", "marketing", {
        "en": "This weekend: {percent} percent off. Reply STOP to opt out.",
        "zh-CN": "本周末全场优惠{percent}%。回复T退订。",
        "de": "Dieses Wochenende {percent} Prozent Rabatt. STOP beendet diese Nachrichten.",
        "pt-BR": "Neste fim de semana: {percent} por cento de desconto. Responda SAIR para cancelar.",
        "id": "Akhir pekan ini diskon {percent} persen. Balas STOP untuk berhenti.",
    }, ("percent",)),
)  # fmt: skip

PUMPED = 8.0
"""How many times the usual traffic a pumping attack brings to its scope."""

_HOURS = np.array(
    [0.42, 0.28, 0.20, 0.16, 0.16, 0.22, 0.40, 0.70, 1.00, 1.22, 1.34, 1.36, 1.38, 1.30, 1.24, 1.22, 1.24, 1.30, 1.40, 1.56, 1.62, 1.46, 1.10, 0.72]
)  # fmt: skip
"""Traffic by local hour: a trough at four, a rise to noon, the peak in the evening."""


def season(country: str, at: datetime) -> float:
    """How busy a country is at that moment, as a factor on its mean of a week."""
    place = COUNTRIES[country]
    local = at.astimezone(zone(place.time_zone))
    hours = local.hour + local.minute / 60
    by_hour = np.interp(hours, np.arange(25), np.append(_HOURS, _HOURS[0])) / _HOURS.mean()
    by_day = (place.weekend if local.weekday() >= 5 else 1.0) * 7 / (5 + 2 * place.weekend)
    return float(by_hour * by_day)


def demand(at: datetime, faults: Sequence[Fault] = ()) -> NDArray[np.float64]:
    """Traffic of every area at that moment; over a quiet week all areas together come to 1 in the mean."""
    busy = {country: season(country, at) for country in COUNTRIES}
    return np.array([area.weight * busy[area.country] * _pumping(area, at, faults) for area in areas()])


def bot_share(area: Area, at: datetime, faults: Sequence[Fault]) -> float:
    """Which share of an area's verifications no person asked for."""
    return 1 - 1 / _pumping(area, at, faults)


def _pumping(area: Area, at: datetime, faults: Sequence[Fault]) -> float:
    hit = any(
        fault.kind == "pumping"
        and fault.active(at)
        and fault.covers(
            provider=fault.provider,
            carrier=area.carrier,
            country=area.country,
            region=area.region,
            template=fault.template,
        )
        for fault in faults
    )
    return PUMPED if hit else 1.0


@cache
def zone(name: str) -> ZoneInfo:
    """The time zone of that name."""
    return ZoneInfo(name)


def template_of(text: str) -> str:
    """Which template of the world a text was made from, as a filter at a carrier would recognise it; "" for none."""
    return next((name for name, pattern in _patterns() if pattern.fullmatch(text)), "")


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (text.name, re.compile(re.sub(r"\\\{\w+\\\}", ".+?", re.escape(body))))
        for text in TEXTS
        for body in text.locales.values()
    )
