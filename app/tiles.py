"""The ten tiles of the Overview as one piece of HTML: no script, no picture to load, readable aloud.

Every value that comes from data is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil
from urllib.parse import quote

from app import words
from app.data.overview import OverviewData, Spark
from app.palette import BAD, GOOD, LINES, Shade
from metrics.catalogue import METRICS, Metric
from metrics.readings import Reading, verdict

_FLAT_RATIO = 0.02
"""A sparkline spans at least two points of a ratio, so that calm looks calm."""


@dataclass(frozen=True)
class Past:
    """What a metric was, and the words for when."""

    reading: Reading
    words: str


def board(data: OverviewData, *, shade: Shade, link: str, compared: str, beside: str, on_time_seconds: int) -> str:
    """All tiles. `link` is the address of the Carriers page with the view in it, to which a metric is added; `compared`
    is the word for the earlier period, and `beside` for the one that was not chosen."""
    tiles = "".join(
        tile(
            metric,
            data.now[metric.slug],
            _past(data, metric, data.before, compared),
            _past(data, metric, data.other, beside),
            data.sparks[metric.slug],
            shade=shade,
            link=link,
            on_time_seconds=on_time_seconds,
        )
        for metric in METRICS
    )
    return f'<div class="hg-board" style="--good:{GOOD[shade]};--bad:{BAD[shade]}">{tiles}</div>'


def _past(data: OverviewData, metric: Metric, earlier: Mapping[str, Reading] | None, when: str) -> Past | None:
    if earlier is None:
        return None
    is_young = data.same_age and not data.now[metric.slug].settled
    return Past(earlier[metric.slug], words.earlier(when, same_age=is_young))


def tile(
    metric: Metric,
    now: Reading,
    before: Past | None,
    other: Past | None,
    spark: Spark,
    *,
    shade: Shade,
    link: str,
    on_time_seconds: int,
) -> str:
    """One tile: title, value, its changes (unless nothing is compared; the `other` is not judged), course, sample size and
    whether it has settled."""
    title = escape(metric.title)
    about = escape(f"{words.explained(metric)}{f' Beside it: {words.BETWEEN}' if metric.unit == 'ratio' else ''}")
    tip = f"hg-tip-{metric.slug}"
    return f"""
<section class="hg-tile" aria-label="{title}">
  <header>
    <a class="hg-title" href="{escape(link)}&amp;metric={metric.slug}" target="_self">{title}</a>
    <span class="hg-ask" tabindex="0" role="button" aria-label="About {title}" aria-describedby="{tip}">?</span>
    <span class="hg-tip" role="tooltip" id="{tip}">{about}</span>
  </header>
  <div class="hg-zh" lang="zh">{escape(metric.title_zh)}</div>
  {_value(metric, now)}
  {_change(metric, now, before)}{_other(metric, now, other)}
  {sparkline(metric, spark, shade)}
  <footer><span>n {words.count(now.n)}</span>{_state(metric, now, on_time_seconds)}</footer>
</section>"""


def _value(metric: Metric, now: Reading) -> str:
    if not words.defined(now.value):
        return f'<div class="hg-value">{words.UNDEFINED}</div><div class="hg-why">{words.why_undefined(now.n)}</div>'
    number, _, unit = words.figure(now.value, metric.unit).partition(" ")
    return f'<div class="hg-value"><span>{number}<small> {unit}</small></span>{_beside(metric, now)}</div>'


def _beside(metric: Metric, now: Reading) -> str:
    """What else there is to say of a value: how far chance may have moved it, or how long the slow ones take."""
    if metric.unit == "ratio":
        return f'<span class="hg-p95" title="{words.BETWEEN}">{words.between(now.value, now.n)}</span>'
    return f'<span class="hg-p95">p95 {words.figure(now.p95, metric.unit)}</span>' if now.p95 is not None else ""


def _change(metric: Metric, now: Reading, past: Past | None) -> str:
    if now.value is None or past is None:
        return ""
    before = past.reading
    if before.value is None:
        return f'<div class="hg-change">no value {past.words} to compare with</div>'
    moved = words.change(now.value, before.value, metric.unit)
    judged, said = _judged(metric, now, before)
    return (
        f'<div class="hg-change"><b class="{judged}">{words.arrow(moved)} {moved}</b> <span>{said}</span><br>'
        f"<span>{_told(metric, past)}</span></div>"
    )


def _other(metric: Metric, now: Reading, past: Past | None) -> str:
    """The change that was not chosen, in few words; a dash where there is nothing to compare."""
    if now.value is None or past is None:
        return ""
    before = past.reading.value
    moved = words.UNDEFINED if before is None else words.change(now.value, before, metric.unit)
    return f'<div class="hg-other" title="{_told(metric, past)}">{past.words}: {moved}</div>'


def _told(metric: Metric, past: Past) -> str:
    return f"{past.words} {words.figure(past.reading.value, metric.unit)}, n {words.count(past.reading.n)}"


def _judged(metric: Metric, now: Reading, before: Reading) -> tuple[str, str]:
    """The class and the word for a change: better or worse only when it is more than chance."""
    judged = verdict(metric, now, before, judged_together=len(METRICS))
    if not judged:
        return "", words.BY_CHANCE
    return ("hg-good" if judged == "better" else "hg-bad"), judged


def _state(metric: Metric, now: Reading, on_time_seconds: int) -> str:
    if now.n == 0:
        return ""
    if now.settled:
        return '<span class="hg-state">settled</span>'
    minutes = ceil(metric.settles_after_seconds(on_time_seconds=on_time_seconds) / 60)
    why = f"Attempts of the last {minutes} min may still change this value."
    return f'<span class="hg-state hg-settling" title="{why}">settling · {minutes} min</span>'


def sparkline(metric: Metric, spark: Spark, shade: Shade) -> str:
    """The course as a picture that stretches; undefined is a gap, the part still settling is dashed."""
    known = [value for value in spark.values if value is not None]
    if len(known) < 2:
        return '<div class="hg-spark"></div>'
    low, high = _scale(known, metric)
    least, most = (words.figure(value, metric.unit) for value in (min(known), max(known)))
    told = f"From {least} to {most} in buckets of {words.BUCKET_TITLES[spark.bucket]}"
    paths = "".join(
        f'<path d="{path}" stroke-dasharray="{dashes}" opacity="{opacity}"/>'
        for young, dashes, opacity in ((False, "none", 1), (True, "3 3", 0.8))
        if (path := _path(spark, low, high, young=young))
    )
    # Inline SVG does not survive Streamlit's cleaning of HTML; a picture in a data address does.
    picture = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 30" preserveAspectRatio="none">'
        f'<g fill="none" stroke="{LINES[shade][0]}" stroke-width="1.6"><style>path{{vector-effect:non-scaling-stroke}}'
        f"</style>{paths}</g></svg>"
    )
    return f'<img class="hg-spark" src="data:image/svg+xml,{quote(picture)}" alt="{told}" title="{told}">'


def _scale(known: Sequence[float], metric: Metric) -> tuple[float, float]:
    low, high = min(known), max(known)
    least = _FLAT_RATIO if metric.unit == "ratio" else max(high * 0.1, 0.1)
    missing = max(0.0, least - (high - low)) / 2
    return low - missing, high + missing


def _path(spark: Spark, low: float, high: float, *, young: bool) -> str:
    """Segments between neighbours that are both defined; a segment is young when its later end is."""
    width = max(1, len(spark.values) - 1)
    places = [
        None if value is None else (index / width * 100, 28 - (value - low) / (high - low) * 26)
        for index, value in enumerate(spark.values)
    ]
    parts: list[str] = []
    joined = False
    for (before, after), settled in zip(pairwise(places), spark.settled[1:], strict=True):
        if before is None or after is None or settled is young:
            joined = False
            continue
        if not joined:
            parts.append(f"M{before[0]:.1f} {before[1]:.1f}")
        parts.append(f"L{after[0]:.1f} {after[1]:.1f}")
        joined = True
    return "".join(parts)
