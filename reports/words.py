"""How figures, changes and places read in a mail, and the sentences made of them. An undefined value is a dash."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from metrics.catalogue import METRICS, Metric, metric
from metrics.readings import Reading, Verdict, verdict
from reports.daily import DailyReport
from reports.days import Day
from reports.judge import Finding, Place
from reports.readings import Compared

UNDEFINED = "–"
_GROUP = "\N{NARROW NO-BREAK SPACE}"
_SPACE = "\N{NO-BREAK SPACE}"
_NEWS = ("verification_success_rate", "delivery_rate", "third_party_success_rate")
"""Whose value the subject tells: the first that is defined."""

_NAMED_MAX = 3
_SHORT = {"verification_success_rate": "verification success", "third_party_success_rate": "third-party success"}


def count(number: int) -> str:
    """A whole number, in groups that no country reads as a decimal mark."""
    return f"{number:,}".replace(",", _GROUP)


def whole(text: str) -> str:
    """`text` that is not broken over two lines."""
    return text.replace(" ", _SPACE)


def date_of(day: Day) -> str:
    """A day in a sentence."""
    return whole(day.short)


def sample(n: int) -> str:
    """A sample size, as it stands beside a value."""
    return f"n{_SPACE}{count(n)}"


def figure(value: float | None, unit: str) -> str:
    """A value with its unit, to one decimal."""
    if value is None:
        return UNDEFINED
    return f"{value * 100:.1f}{_SPACE}%" if unit == "ratio" else f"{value:.1f}{_SPACE}s"


def signed(moved: float, unit: str) -> str:
    """A difference with its sign; of ratios in percentage points."""
    size = f"{abs(moved) * (100 if unit == 'ratio' else 1):.1f}"
    sign = "±" if float(size) == 0 else "+" if moved > 0 else "−"
    return sign + size + ("" if unit == "ratio" else f"{_SPACE}s")


@dataclass(frozen=True)
class Change:
    """A difference as it is shown: text, an arrow, and what it means when it is more than chance."""

    text: str
    arrow: str
    verdict: Verdict


NO_CHANGE = Change(UNDEFINED, "", "")


def change(one: Metric, now: Reading, before: Reading, *, judged_together: int) -> Change:
    """From `before` to `now`; a dash where one of them is undefined."""
    if now.value is None or before.value is None:
        return NO_CHANGE
    text = signed(now.value - before.value, one.unit)
    arrow = {"+": "▲", "−": "▼"}.get(text[0], "=")
    return Change(text, arrow, verdict(one, now, before, judged_together=judged_together))


def changes(one: Metric, compared: Compared) -> tuple[Change, Change]:
    """Against the day before and against the week before, judged together with the other nine metrics."""
    together = 2 * len(METRICS)
    return (
        change(one, compared.now, compared.day_before, judged_together=together),
        change(one, compared.now, compared.week_before, judged_together=together),
    )


def shown(name: str) -> str:
    """A name from the data without characters that would act instead of being read (controls, direction marks)."""
    return "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in name)


def provider_name(name: str) -> str:
    """A provider as people read it."""
    return shown(name) or "(provider unknown)"


def carrier_name(country: str, carrier: str) -> str:
    """A carrier with its country, as people read it."""
    return f"{shown(carrier) or '(carrier unknown)'}, {shown(country) or '(country unknown)'}"


def place_name(place: Place) -> str:
    """A provider, a carrier, or the way from one to the other."""
    provider, country, carrier = place
    if carrier == country == "*":
        return provider_name(provider)
    if provider == "*":
        return carrier_name(country, carrier)
    return f"{provider_name(provider)} → {carrier_name(country, carrier)}"


def capitalized(text: str) -> str:
    """The first letter large, the others as they are."""
    return text[:1].upper() + text[1:]


def channels(number: int) -> str:
    """How many are worth a look."""
    return f"{number} channel{'' if number == 1 else 's'} worth a look"


def subject(report: DailyReport) -> str:
    """The news in one line."""
    start = f"SMS quality, {report.day.short}: "
    if report.is_empty:
        return start + "no message was submitted"
    slug = _told(report)
    compared, unit = report.total.figures[slug], metric(slug).unit
    value, before = compared.now.value, compared.day_before.value
    moved = f" ({signed(value - before, unit)})" if value is not None and before is not None else ""
    looks = f", {channels(len(report.looks))}" if report.looks else ""
    # Plain spaces: a subject is searched for, and no-break ones are not found.
    return f"{start}{_short(slug)} {figure(value, unit)}{moved}{looks}".replace(_SPACE, " ")


def _told(report: DailyReport) -> str:
    return next((slug for slug in _NEWS if report.total.figures[slug].now.value is not None), _NEWS[0])


def _short(slug: str) -> str:
    return _SHORT.get(slug, metric(slug).title.lower())


def headline(report: DailyReport) -> str:
    """The one sentence to read when there is time for one."""
    if report.is_empty:
        return f"No message was submitted on {report.day.title}."
    slug = _told(report)
    now, unit = report.total.figures[slug].now, metric(slug).unit
    what = {"verification_success_rate": "verifications succeeded", "delivery_rate": "accepted messages were delivered"}
    said = what.get(slug, "submitted messages were accepted by a provider")
    if now.value is None:
        return f"{count(report.total.submitted.now.n)} attempts were submitted; none of them gives a rate."
    return f"{figure(now.value, unit)} of {count(now.n)} {said}."


def sentences(report: DailyReport) -> list[str]:
    """What changed, in words: the volume, the news against both days, whatever else is more than chance, the channels."""
    if report.is_empty:
        return [_empty(report)]
    told = _told(report)
    rest = [one for one in METRICS if one.slug != told]
    return [_volume(report), _moved(report, told), *_others(report, rest), _looks(report)]


def _empty(report: DailyReport) -> str:
    before = report.total.submitted.day_before.n
    if before:
        return (
            f"On the day before there were {count(before)} attempts. If traffic was expected, look at the senders, the "
            "service and the way of events into the warehouse first."
        )
    return "On the day before there was none either."


def _volume(report: DailyReport) -> str:
    submitted, day = report.total.submitted, report.day
    return (
        f"{count(submitted.now.n)} attempts were submitted: {_counted(submitted.day_before.n)} the day before, "
        f"{_counted(submitted.week_before.n)} on {date_of(day.plus(-7))}."
    )


def _counted(number: int) -> str:
    return count(number) if number else "none"


def _moved(report: DailyReport, slug: str) -> str:
    one, compared = metric(slug), report.total.figures[slug]
    name, moves = capitalized(_short(slug)), changes(one, compared)
    befores = (compared.day_before, compared.week_before)
    if all(before.value is None for before in befores):
        return f"{name}: there is no earlier day to compare with."
    parts = [
        _so_much(one, move) + than
        for move, before, than in zip(moves, befores, _days(report), strict=True)
        if before.value is not None
    ]
    clear = [move for move in moves if move.verdict]
    chance = "more than chance" if clear else "within chance"
    return f"{name}: {', '.join(parts)}; {chance}{_apart(moves)}."


def _apart(moves: tuple[Change, Change]) -> str:
    """Which of the two the judgement is about, when it is about one of them."""
    day, week = moves
    if bool(day.verdict) == bool(week.verdict) or NO_CHANGE in moves:
        return ""
    return " against the day before alone" if day.verdict else " against last week alone"


def _days(report: DailyReport) -> tuple[str, str]:
    return (
        f" the day before ({date_of(report.day.plus(-1))})",
        f" the same weekday last week ({date_of(report.day.plus(-7))})",
    )


def _so_much(one: Metric, move: Change) -> str:
    if move.text.startswith("±"):
        return "the same as"
    size = move.text[1:] + (" points" if one.unit == "ratio" else "")
    more, less = ("higher", "lower") if one.unit == "ratio" else ("longer", "shorter")
    return f"{size} {more if move.text.startswith('+') else less} than"


def _others(report: DailyReport, rest: list[Metric]) -> list[str]:
    figures = [report.total.figures[one.slug] for one in rest]
    if not any(one.day_before.n + one.week_before.n for one in figures):
        return []
    kinds: tuple[Verdict, Verdict] = ("worse", "better")
    said = [told for kind in kinds if (told := _of_kind(report, rest, kind))]
    return said or ["Nothing else changed by more than chance."]


def _of_kind(report: DailyReport, rest: list[Metric], kind: Verdict) -> str:
    told = []
    for one in rest:
        compared = report.total.figures[one.slug]
        both = zip(changes(one, compared), ("on the day before", "on last week"), strict=True)
        moves = [f"{move.text} {than}" for move, than in both if move.verdict == kind]
        if moves:
            told.append(f"{one.title.lower()} {figure(compared.now.value, one.unit)} ({', '.join(moves)})")
    return f"{capitalized(kind)} by more than chance: {'; '.join(told)}." if told else ""


def _looks(report: DailyReport) -> str:
    if not report.looks:
        return "No channel is worse than it was by more than chance."
    names = [place_name(look.place) for look in report.looks]
    rest = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return f"{channels(len(names))}: {'; '.join(names[:_NAMED_MAX])}{rest}."


def finding(one: Finding) -> str:
    """What is worse at a place, with both sample sizes."""
    than = "a week before" if one.against == "week_before" else "the day before"
    return (
        f"{one.metric.title.lower()} {figure(one.now.value, one.metric.unit)} (n {count(one.now.n)}) after "
        f"{figure(one.before.value, one.metric.unit)} {than} ({sample(one.before.n)})"
    )
