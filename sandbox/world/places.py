"""Where the simulated subscribers live: eight countries, their carriers and regions, and prefixes to make numbers from.

Carriers and regions bear the names that `phonenumbers` derives from the prefixes, so that history and live traffic
agree with what the service reads out of a number. No whole number stands here; the sandbox sends to no real network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np


@dataclass(frozen=True)
class Carrier:
    """One mobile network. `prefixes` maps a region ("" where prefixes tell none) to national prefixes."""

    name: str
    weight: float
    prefixes: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Country:
    """`digits` is the length of a national number; `weight` its share of the traffic; `weekend` its Saturday."""

    code: str
    calling_code: str
    digits: int
    time_zone: str
    locale: str
    weight: float
    weekend: float
    carriers: tuple[Carrier, ...]


@dataclass(frozen=True)
class Area:
    """One country, carrier and region: the grain at which traffic is drawn. Weights of all areas sum to 1."""

    country: str
    carrier: str
    region: str
    weight: float


_REGION_WEIGHTS = {
    "Guangdong": 18, "Jiangsu": 11, "Zhejiang": 11, "Shandong": 9, "Henan": 8, "Sichuan": 8, "Hubei": 6,
    "Beijing": 8, "Shanghai": 8, "Fujian": 5, "Hunan": 5, "Shaanxi": 3,
    "CA": 22, "TX": 17, "NY": 15, "FL": 13, "IL": 8, "PA": 7, "GA": 7, "WA": 6, "MA": 5,
    "São Paulo": 40, "Rio de Janeiro": 18, "Minas Gerais": 11, "Paraná": 8, "Rio Grande do Sul": 8, "Bahia": 6,
    "Pernambuco": 5, "Ceará": 4,
}  # fmt: skip


def _rows(table: str) -> dict[str, tuple[str, ...]]:
    """Lines `region: head tail, head tail` as a mapping; a head and its tail make one prefix."""
    lines = (line.strip().partition(":") for line in table.strip().splitlines())
    return {region: tuple(part.replace(" ", "") for part in parts.split(",")) for region, _, parts in lines}


_CHINA_MOBILE = """
Guangdong: 138 0973, 138 2390, 150 1764, 150 9974
Jiangsu: 138 5145, 138 5133, 150 5185, 150 6162
Zhejiang: 138 6824, 138 5845, 150 5767, 150 6800
Shandong: 138 5419, 138 8479, 150 6522, 150 2056
Henan: 138 4964, 138 3782, 150 8305, 150 3824
Sichuan: 138 8239, 138 8022, 150 8253, 150 8242
Hubei: 138 7224, 138 7257, 150 2709, 150 7245
Beijing: 138 0002, 138 1146, 150 1124, 150 0111
Shanghai: 138 1853, 138 1879, 150 2119, 150 2101
Fujian: 138 6090, 138 6008, 150 6083, 150 0598
Hunan: 138 0848, 138 7577, 150 7431, 150 7445
Shaanxi: 138 9138, 138 9205, 150 9142, 150 9175
"""
_CHINA_UNICOM = """
Guangdong: 130 4949, 130 1609, 186 7518, 186 7598
Jiangsu: 130 2339, 130 5615, 186 6102, 186 6118
Zhejiang: 130 5784, 130 5884, 186 6708, 186 0677
Shandong: 130 4603, 130 5475, 186 7829, 186 7844
Henan: 130 4303, 130 7173, 186 3993, 186 2384
Sichuan: 130 9615, 130 8643, 186 8370, 186 8328
Hubei: 130 0008, 130 8521, 186 2781, 186 2722
Beijing: 130 5180, 130 5174, 186 1842, 186 1202
Shanghai: 130 6282, 130 4660, 186 1643, 186 2199
Fujian: 130 2387, 130 4696, 186 5088, 186 5069
Hunan: 130 8728, 130 1074, 186 7382, 186 7391
Shaanxi: 130 2840, 130 2297, 186 9140, 186 0299
"""
_CHINA_TELECOM = """
Guangdong: 133 4277, 133 7849, 189 2938, 189 9840
Jiangsu: 133 9527, 133 8240, 189 1391, 189 2159
Zhejiang: 133 6283, 133 6209, 189 6618, 189 0573
Shandong: 133 7131, 133 7535, 189 5370, 189 0634
Henan: 133 2367, 133 2397, 189 3719, 189 3735
Sichuan: 133 3066, 133 5028, 189 9070, 189 8254
Hubei: 133 1723, 133 0717, 189 8689, 189 8679
Beijing: 133 1131, 133 6604, 189 0048, 189 0138
Shanghai: 133 1172, 133 1181, 189 6454, 189 3998
Fujian: 133 6509, 133 0604, 189 6538, 189 0034
Hunan: 133 2730, 133 9737, 189 7581, 189 7396
Shaanxi: 133 8916, 133 0926, 189 9297, 189 9146
"""
_UNITED_STATES = """
CA: 415 771, 415 770, 213 926, 213 419
TX: 713 490, 713 860, 214 330, 214 391
NY: 212 372, 212 371, 718 857, 718 759
FL: 305 820, 305 653
IL: 312 805, 312 956
PA: 215 784, 215 503
GA: 404 963, 404 322
WA: 206 965, 206 629
MA: 617 492, 617 789
"""
_VIVO = """
São Paulo: 11 96912, 11 97087
Rio de Janeiro: 21 971, 21 995
Paraná: 41 99256, 41 99233
Rio Grande do Sul: 51 9952, 51 997
Bahia: 71 99924, 71 99985
Pernambuco: 81 98261, 81 9822
Ceará: 85 98216, 85 98215
"""
_CLARO = """
São Paulo: 11 9692, 11 9662
Rio de Janeiro: 21 9730, 21 991
Minas Gerais: 31 98242, 31 98241
Paraná: 41 9874, 41 98751
Rio Grande do Sul: 51 99450, 51 991
Bahia: 71 9834, 71 9831
Pernambuco: 81 99373, 81 99370
Ceará: 85 99444, 85 99404
"""
_TIM = """
São Paulo: 11 97016, 11 982
Rio de Janeiro: 21 98331, 21 98365
Minas Gerais: 31 99415, 31 99193
Paraná: 41 99800, 41 999
Rio Grande do Sul: 51 98215, 51 98212
Bahia: 71 99232, 71 99206
Pernambuco: 81 99736, 81 996
Ceará: 85 99904, 85 99666
"""


def _carrier(name: str, weight: float, prefixes: str) -> Carrier:
    """A carrier whose prefixes tell no region."""
    return Carrier(name, weight, {"": tuple(prefixes.split())})


_ALL = (
    Country("CN", "86", 11, "Asia/Shanghai", "zh-CN", 0.40, 0.94, (
        Carrier("China Mobile", 0.56, _rows(_CHINA_MOBILE)),
        Carrier("China Unicom", 0.20, _rows(_CHINA_UNICOM)),
        Carrier("China Telecom", 0.24, _rows(_CHINA_TELECOM)),
    )),
    Country("US", "1", 10, "America/New_York", "en", 0.13, 0.85, (
        Carrier("", 1.0, _rows(_UNITED_STATES)),  # American prefixes do not tell the carrier
    )),
    Country("GB", "44", 10, "Europe/London", "en", 0.08, 0.86, (
        _carrier("EE", 0.31, "7950 7930 7946"),
        _carrier("O2", 0.29, "7912 7902 7710 7803"),
        _carrier("Vodafone", 0.23, "7733 7717 7818 7795"),
        _carrier("Three", 0.17, "7400 7401 7411 7480"),
    )),
    Country("DE", "49", 11, "Europe/Berlin", "de", 0.08, 0.82, (
        _carrier("T-Mobile", 0.38, "151 160 170 171 175"),
        _carrier("Vodafone", 0.32, "1520 1522 162 172 173"),
        _carrier("O2", 0.20, "176 179 1590"),
        _carrier("Eplus", 0.10, "163 177 1573 1575"),
    )),
    Country("IN", "91", 10, "Asia/Kolkata", "en", 0.12, 0.92, (
        _carrier("Reliance Jio", 0.42, "62396 6238 70000 7011 6200"),
        _carrier("Airtel", 0.32, "98100 98180 99100 8800 9876"),
        _carrier("Vodafone", 0.19, "9811 9820 9839 9654"),
        _carrier("BSNL MOBILE", 0.07, "94470 94000 94220"),
    )),
    Country("BR", "55", 11, "America/Sao_Paulo", "pt-BR", 0.08, 0.90, (
        Carrier("Vivo", 0.39, _rows(_VIVO)),
        Carrier("Claro", 0.34, _rows(_CLARO)),
        Carrier("TIM", 0.27, _rows(_TIM)),
    )),
    Country("ID", "62", 11, "Asia/Jakarta", "id", 0.07, 1.02, (
        _carrier("Telkomsel", 0.48, "811 812 813 821 822"),
        _carrier("Indosat Ooredoo Hutchison", 0.28, "814 815 816 856 857"),
        _carrier("XL", 0.16, "817 818 819 877 878"),
        _carrier("Smartfren", 0.08, "881 882 888"),
    )),
    Country("NG", "234", 10, "Africa/Lagos", "en", 0.04, 0.88, (
        _carrier("MTN", 0.42, "703 706 803 806 810"),
        _carrier("Airtel", 0.29, "701 708 802 808"),
        _carrier("Glo", 0.23, "705 805 807 811"),
        _carrier("9mobile", 0.06, "809 817 818"),
    )),
)  # fmt: skip

COUNTRIES: Mapping[str, Country] = {country.code: country for country in _ALL}


@cache
def areas() -> tuple[Area, ...]:
    """Every country, carrier and region with its share of the traffic, in a fixed order."""
    return tuple(
        Area(country.code, carrier.name, region, country.weight * carrier.weight * share)
        for country in COUNTRIES.values()
        for carrier in country.carriers
        for region, share in _region_shares(carrier).items()
    )


def carrier_of(country: str, carrier: str) -> Carrier:
    """The carrier of that name. Raises `KeyError` that names the place, never a number."""
    for candidate in COUNTRIES[country].carriers:
        if candidate.name == carrier:
            return candidate
    raise KeyError(f"{country} has no carrier called {carrier!r}")


def make_number(rng: np.random.Generator, country: str, carrier: str, region: str | None = None) -> str:
    """A valid mobile number in E.164 of that carrier, in `region` or, without one, where its subscribers live."""
    place = carrier_of(country, carrier)
    if region is None:
        shares = _region_shares(place)
        region = str(rng.choice(list(shares), p=list(shares.values())))
    prefixes = place.prefixes[region]
    prefix = prefixes[int(rng.integers(len(prefixes)))]
    rest = COUNTRIES[country].digits - len(prefix)
    return f"+{COUNTRIES[country].calling_code}{prefix}{int(rng.integers(10**rest)):0{rest}d}"


def _region_shares(carrier: Carrier) -> dict[str, float]:
    total = sum(_REGION_WEIGHTS.get(region, 1) for region in carrier.prefixes)
    return {region: _REGION_WEIGHTS.get(region, 1) / total for region in carrier.prefixes}


def other_carrier(country: str, carrier: str) -> str:
    """Where a ported number of that carrier has gone: always the same one, the carrier itself where it is alone."""
    names = [candidate.name for candidate in COUNTRIES[country].carriers]
    return names[(names.index(carrier) + 1) % len(names)] if carrier in names else carrier
