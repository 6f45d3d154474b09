"""How figures, changes and places read in a mail, and the sentences made of them. An undefined value is a dash."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from core.words import count as count  # told on from here with all else that is written in mails
from core.words import points
from metrics.catalogue import METRICS, Metric, metric
from metrics.readings import Reading, Verdict, verdict
from reports.gather import Report
from reports.judge import Finding, Place
from reports.readings import Compared
from reports.spans import Span

UNDEFINED = "–"
_SPACE = "\N{NO-BREAK SPACE}"
_NEWS = ("verification_success_rate", "delivery_rate", "third_party_success_rate")
"""Whose value the subject tells: the first that is defined."""

_NAMED_MAX = 3
_SHORT = {"verification_success_rate": "verification success", "third_party_success_rate": "third-party success"}


def whole(text: str) -> str:
    """`text` that is not broken over two lines."""
    return text.replace(" ", _SPACE)


def date_of(span: Span) -> str:
    """A day, a week or a month in a sentence."""
    return whole(span.short)


def sample(n: int) -> str:
    """A sample size, as it stands beside a value."""
    return f"n{_SPACE}{count(n)}"


def figure(value: float | None, unit: str) -> str:
    """A value with its unit, to one decimal."""
    if value is None:
        return UNDEFINED
    return f"{points(value, 1)}{_SPACE}%" if unit == "ratio" else f"{value:.1f}{_SPACE}s"


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
    # A figure that settles would be held against one that has: what is missing looks like a loss.
    judged = verdict(one, now, before, judged_together=judged_together) if now.settled else ""
    return Change(text, arrow, judged)


def changes(one: Metric, compared: Compared) -> tuple[Change, Change]:
    """Against the span before and the earlier one, judged together with the other nine metrics."""
    together = 2 * len(METRICS)
    return (
        change(one, compared.now, compared.previous, judged_together=together),
        change(one, compared.now, compared.earlier, judged_together=together),
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


def country_name(country: str) -> str:
    """A country as people read it."""
    return shown(country) or "(country unknown)"


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


def subject(report: Report) -> str:
    """The news in one line."""
    start = f"SMS quality, {report.span.short}: "
    if report.is_empty:
        return start + "no message was submitted"
    slug = _told(report)
    compared, unit = report.total.figures[slug], metric(slug).unit
    value, before = compared.now.value, compared.previous.value
    moved = f" ({signed(value - before, unit)})" if value is not None and before is not None else ""
    looks = f", {channels(len(report.looks))}" if report.looks else ""
    # Plain spaces: a subject is searched for, and no-break ones are not found.
    return f"{start}{_short(slug)} {figure(value, unit)}{moved}{looks}".replace(_SPACE, " ")


def _told(report: Report) -> str:
    return next((slug for slug in _NEWS if report.total.figures[slug].now.value is not None), _NEWS[0])


def _short(slug: str) -> str:
    return _SHORT.get(slug, metric(slug).title.lower())


def headline(report: Report) -> str:
    """The one sentence to read when there is time for one."""
    if report.is_empty:
        return f"No message was submitted, {report.span.title}."
    slug = _told(report)
    now, unit = report.total.figures[slug].now, metric(slug).unit
    what = {"verification_success_rate": "verifications succeeded", "delivery_rate": "accepted messages were delivered"}
    said = what.get(slug, "submitted messages were accepted by a provider")
    if now.value is None:
        return f"{count(report.total.submitted.now.n)} attempts were submitted; none of them gives a rate."
    return f"{figure(now.value, unit)} of {count(now.n)} {said}."


def sentences(report: Report) -> list[str]:
    """What changed, in words: the volume, the news against both spans, whatever else is more than chance, the channels."""
    if report.is_empty:
        return [_empty(report)]
    told = _told(report)
    rest = [one for one in METRICS if one.slug != told]
    return [_volume(report), _moved(report, told), *_others(report, rest), _looks(report)]


def _empty(report: Report) -> str:
    before = report.total.submitted.previous.n
    if before:
        return (
            f"{capitalized(report.span.previous_name)} there were {count(before)} attempts. If traffic was expected, look at the senders, the "
            "service and the way of events into the warehouse first."
        )
    return f"{capitalized(report.span.previous_name)} there was none either."


def _volume(report: Report) -> str:
    submitted, span = report.total.submitted, report.span
    return (
        f"{count(submitted.now.n)} attempts were submitted: {_counted(submitted.previous.n)} {span.previous_name}, "
        f"{_counted(submitted.earlier.n)} {span.earlier_name} ({date_of(span.earlier)})."
    )


def _counted(number: int) -> str:
    return count(number) if number else "none"


def _moved(report: Report, slug: str) -> str:
    one, compared = metric(slug), report.total.figures[slug]
    name, moves = capitalized(_short(slug)), changes(one, compared)
    befores = (compared.previous, compared.earlier)
    if all(before.value is None for before in befores):
        return f"{name}: there is no earlier {report.span.noun} to compare with."
    parts = [
        _so_much(one, move) + than
        for move, before, than in zip(moves, befores, _spans(report), strict=True)
        if before.value is not None
    ]
    clear = [move for move in moves if move.verdict]
    chance = "more than chance" if clear else "within chance"
    if not compared.now.settled:
        return f"{name}: {', '.join(parts)}; still settling, so not judged."
    return f"{name}: {', '.join(parts)}; {chance}{_apart(report.span, moves)}."


def _apart(span: Span, moves: tuple[Change, Change]) -> str:
    """Which of the two the judgement is about, when it is about one of them."""
    previous, earlier = moves
    if bool(previous.verdict) == bool(earlier.verdict) or NO_CHANGE in moves:
        return ""
    return f" against {span.previous_name if previous.verdict else span.earlier_name} alone"


def _spans(report: Report) -> tuple[str, str]:
    span = report.span
    return (
        f" {span.previous_name} ({date_of(span.previous)})",
        f" {span.earlier_name} ({date_of(span.earlier)})",
    )


def _so_much(one: Metric, move: Change) -> str:
    if move.text.startswith("±"):
        return "the same as"
    size = move.text[1:] + (" points" if one.unit == "ratio" else "")
    more, less = ("higher", "lower") if one.unit == "ratio" else ("longer", "shorter")
    return f"{size} {more if move.text.startswith('+') else less} than"


def _others(report: Report, rest: list[Metric]) -> list[str]:
    figures = [report.total.figures[one.slug] for one in rest]
    if not any(one.previous.n + one.earlier.n for one in figures):
        return []
    kinds: tuple[Verdict, Verdict] = ("worse", "better")
    said = [told for kind in kinds if (told := _of_kind(report, rest, kind))]
    return said or ["Nothing else changed by more than chance."]


def _of_kind(report: Report, rest: list[Metric], kind: Verdict) -> str:
    told = []
    for one in rest:
        compared = report.total.figures[one.slug]
        both = zip(
            changes(one, compared),
            (f"on {date_of(report.span.previous)}", f"on {date_of(report.span.earlier)}"),
            strict=True,
        )
        moves = [f"{move.text} {than}" for move, than in both if move.verdict == kind]
        if moves:
            told.append(f"{one.title.lower()} {figure(compared.now.value, one.unit)} ({', '.join(moves)})")
    return f"{capitalized(kind)} by more than chance: {'; '.join(told)}." if told else ""


def _looks(report: Report) -> str:
    if not report.looks:
        return "No channel is worse than it was by more than chance."
    names = [place_name(look.place) for look in report.looks]
    rest = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return f"{channels(len(names))}: {'; '.join(names[:_NAMED_MAX])}{rest}."


def finding(one: Finding, span: Span) -> str:
    """What is worse at a place, with both sample sizes."""
    than = span.earlier_name if one.against == "earlier" else span.previous_name
    return (
        f"{one.metric.title.lower()} {figure(one.now.value, one.metric.unit)} (n {count(one.now.n)}) after "
        f"{figure(one.before.value, one.metric.unit)} {than} ({sample(one.before.n)})"
    )
