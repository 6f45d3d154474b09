"""Writes docs/metrics.md from the declarations, so that the manual says what is computed. `python -m metrics.docs` prints it."""

from __future__ import annotations

import sys

from core.events import DIMENSIONS
from metrics.catalogue import METRICS, Metric
from metrics.query import BUCKETS

_INTRODUCTION = """\
# The ten metrics

Made from `metrics/catalogue.py` by `make docs`; change it there.

The words are those of the data: an **attempt** is one submission of a request to one provider, a **cohort** all attempts
submitted in one time bucket. Every value is a cohort's: a receipt counts in the bucket of its attempt's submission,
however late it comes. A value over nothing is undefined and shown as such, never as 0, and every value travels with its
n, the number it is taken over. A cohort is **settled** once its end is old enough that the value will hardly move.

Attempts that were never submitted (we refused them ourselves) count nowhere. An attempt whose provider did not answer in
time is submitted and not accepted; should the message arrive all the same, its receipt and its code count for no rate of
accepted attempts, while the verification it belongs to can still be approved. Metrics of level *verification* count the
first attempt of each verification and stand in its cohort and dimensions.
"""

_SOURCES = """\
## Where the formulas come from

There is no public standard. The formulas follow what Huawei, Baidu, Tencent, Alibaba, Vonage, Twilio, Infobip and GOV.UK
Notify publish of theirs; the pages named below count the same thing, not always over the same denominator.
"""


def render() -> str:
    """The whole of docs/metrics.md."""
    dimensions = ", ".join(f"`{name}`" for name in DIMENSIONS)
    scope = f"Each can be split and filtered by {dimensions}, in buckets of {', '.join(BUCKETS)}."
    table = ["| # | metric | | question | good | level |", "|---|---|---|---|---|---|"]
    table += [_row(number, one) for number, one in enumerate(METRICS, start=1)]
    parts = [_INTRODUCTION, scope, "", *table, "", _SOURCES]
    parts += [_section(number, one) for number, one in enumerate(METRICS, start=1)]
    return "\n".join(parts)


def _row(number: int, one: Metric) -> str:
    return f"| {number} | `{one.slug}` | {one.title_zh} | {one.question} | {one.good} | {one.level} |"


def _section(number: int, one: Metric) -> str:
    lines = [
        f"## {number}. {one.title} · {one.title_zh}",
        "",
        f"`{one.slug}` · {one.unit} · good is {one.good} · per {one.level}",
        "",
        f"*{one.question}*",
        "",
        one.formula,
        "",
        "```sql",
        f"{one.value} AS {one.slug},",
        *(f"{sql} AS {one.slug}_{suffix}," for suffix, sql in one.extras.items()),
        f"{one.n} AS {one.slug}_n",
        "```",
        "",
        f"Settled after {_age(one)}. {one.settled_because}",
        "",
    ]
    lines += [f"- [{source.name}]({source.url}): {source.says}." for source in one.sources]
    if not one.sources:
        lines.append("- No published definition is known to us; this one is ours.")
    return "\n".join([*lines, ""])


def _age(one: Metric) -> str:
    minutes = f"{one.settled_after_seconds // 60} minutes"
    return f"T and {minutes}" if one.waits_for_on_time else minutes


if __name__ == "__main__":
    sys.stdout.write(render())
