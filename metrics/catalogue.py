"""The ten quality metrics, one declaration each: page, mail, manual and query derive from this list and from nothing else.

A value is one SQL aggregate over the submitted rows of `attempts FINAL`; where it is undefined it is NULL, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal

from core.errors import UnknownMetric

Unit = Literal["ratio", "seconds"]
Direction = Literal["up", "down"]
Level = Literal["attempt", "verification"]


@dataclass(frozen=True)
class Source:
    """A published page that counts the same thing; `says` tells what it counts, in our words."""

    name: str
    url: str
    says: str


@dataclass(frozen=True)
class Metric:
    """One metric. `value` and `n` are aggregates over submitted rows; `n` counts what the value is taken over.

    `extras` are further values of the same sample: `p95` of `delivery_time` becomes the column `delivery_time_p95`.
    The SQL may use the bound parameters `now` and `on_time_seconds`.
    """

    slug: str
    title: str
    title_zh: str
    question: str
    formula: str
    unit: Unit
    good: Direction
    level: Level
    value: str
    n: str
    settled_after_seconds: int
    settled_because: str
    waits_for_on_time: bool = False
    extras: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()

    def settles_after_seconds(self, *, on_time_seconds: int) -> int:
        """How old the end of a cohort must be before its value will hardly move."""
        return self.settled_after_seconds + (on_time_seconds if self.waits_for_on_time else 0)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns in an answer, in order."""
        return (
            self.slug,
            *(f"{self.slug}_{suffix}" for suffix in self.extras),
            f"{self.slug}_n",
            f"{self.slug}_settled",
        )


_SUBMITTED = "countIf(submitted)"
_ACCEPTED = "countIf(accepted)"
_DELIVERED = "countIf(delivered)"
_FINAL = "countIf(delivered OR failed)"
_NOT_THE_HANDSET = "countIf(delivered OR (failed AND failure_class NOT IN ('handset', 'number')))"
_ACCEPTED_CODES = "countIf(is_code AND accepted)"
_FILLED_CODES = "countIf(is_code AND accepted AND filled_at IS NOT NULL)"
_VERIFICATIONS = "countIf(is_verification)"
_APPROVED = "countIf(is_verification AND approved_at IS NOT NULL)"
_ASKED_AGAIN = "countIf(is_verification AND resent_at IS NOT NULL AND (approved_at IS NULL OR resent_at < approved_at))"
_ON_TIME = "countIf(delivered AND delivery_seconds <= {on_time_seconds:UInt32})"
_DUE = (
    "countIf(delivered OR failed OR (pending AND "
    "cohort_at < {now:DateTime64(3, 'UTC')} - toIntervalSecond({on_time_seconds:UInt32})))"
)


_MEDIAN = "quantileExactInclusiveOrNull(0.5)(delivery_seconds)"
_P95 = "quantileExactInclusiveOrNull(0.95)(delivery_seconds)"

COUNTS: Mapping[str, str] = {
    "submitted": _SUBMITTED,
    "accepted": _ACCEPTED,
    "delivered": _DELIVERED,
    "final": _FINAL,
    "not_the_handset": _NOT_THE_HANDSET,
    "accepted_codes": _ACCEPTED_CODES,
    "filled_codes": _FILLED_CODES,
    "verifications": _VERIFICATIONS,
    "approved": _APPROVED,
    "asked_again": _ASKED_AGAIN,
    "on_time": _ON_TIME,
    "due": _DUE,
}
"""What values are made of, by name; the hourly rollup keeps them."""

PERCENTILES = (_MEDIAN, _P95)
"""What is no count; the rollup keeps a digest from which these two are read, in this order."""


def _ratio(numerator: str, denominator: str) -> str:
    return f"divideOrNull({numerator}, {denominator})"  # plain division gives nan for 0/0


_HANDSETS = (
    "A handset within reach answers in seconds, in a bad hour in minutes. One that is off answers for itself when it is "
    "on again, or the carrier gives up after up to three days; waiting for those few would leave every day unsettled."
)
_LIFETIME = "A verification lives for an hour at most, and nothing can be entered or asked for after it."

_BAIDU = "https://cloud.baidu.com/doc/SMS/s/Plo6sgmo4"
_TENCENT = "https://cloud.tencent.com/document/api/382/39535"
_ALIBABA = "https://help.aliyun.com/document_detail/419276.html"
_INFOBIP = "https://www.infobip.com/docs/metrics-api/metrics-and-filters"

METRICS: tuple[Metric, ...] = (
    Metric(
        slug="third_party_success_rate",
        title="Third-party success rate",
        title_zh="三方成功率",
        question="Of what we handed to a provider, how much did it take?",
        formula=(
            "Attempts the provider's answer accepted / attempts submitted. An attempt that got no answer in time counts "
            "as submitted and not as accepted, even when its receipt arrives later; one we refused ourselves was never "
            "submitted and counts nowhere."
        ),
        unit="ratio",
        good="up",
        level="attempt",
        value=_ratio(_ACCEPTED, _SUBMITTED),
        n=_SUBMITTED,
        settled_after_seconds=120,
        settled_because="The answer is known when the attempt is told of; two minutes leave room for queue and insert.",
        sources=(
            Source(
                "Baidu",
                _BAIDU,
                "share of the submitted messages answered with success, apart from the share that arrived",
            ),
            Source(
                "Huawei",
                "https://support.huaweicloud.com/intl/zh-cn/msgsms_faq/sms_faq_0098.html",
                "a request that succeeded is not yet a message that did: only the receipt says",
            ),
        ),
    ),
    Metric(
        slug="receipt_rate",
        title="Receipt rate",
        title_zh="回执率",
        question="Of what was accepted, for how much do we know how it ended?",
        formula=(
            "Accepted attempts with a final receipt, good or bad / accepted attempts. Interim receipts are not final; "
            "of several final ones the earliest counts, so a final state never goes back."
        ),
        unit="ratio",
        good="up",
        level="attempt",
        value=_ratio(_FINAL, _ACCEPTED),
        n=_ACCEPTED,
        settled_after_seconds=3600,
        settled_because=_HANDSETS,
        sources=(
            Source("Baidu", _BAIDU, "share of the messages with a receipt"),
            Source("Alibaba", _ALIBABA, "messages without a receipt, beside those with a good and with a bad one"),
        ),
    ),
    Metric(
        slug="delivery_rate",
        title="Delivery rate",
        title_zh="送达率",
        question="Of what was accepted, how much reached the handset?",
        formula="Accepted attempts whose first final receipt says delivered / accepted attempts, pending ones included.",
        unit="ratio",
        good="up",
        level="attempt",
        value=_ratio(_DELIVERED, _ACCEPTED),
        n=_ACCEPTED,
        settled_after_seconds=3600,
        settled_because=_HANDSETS,
        sources=(
            Source("Baidu", _BAIDU, "share that arrived, beside the shares that failed and that are unknown"),
            Source("Infobip", _INFOBIP, "share of the messages delivered to recipients"),
        ),
    ),
    Metric(
        slug="receipt_success_rate",
        title="Receipt success rate",
        title_zh="回执成功率",
        question="Of what we know the end of, how much ended well?",
        formula=(
            "Delivered attempts / attempts with a final receipt. A broken receipt feed leaves it standing where the "
            "delivery rate falls: the two together tell a blind channel from a bad one."
        ),
        unit="ratio",
        good="up",
        level="attempt",
        value=_ratio(_DELIVERED, _FINAL),
        n=_FINAL,
        settled_after_seconds=3600,
        settled_because=_HANDSETS,
        sources=(
            Source("Tencent", _TENCENT, "receipts, and of them good and bad ones"),
            Source("Alibaba", _ALIBABA, "good and bad receipts as counts of their own"),
        ),
    ),
    Metric(
        slug="effective_success_rate",
        title="Effective success rate",
        title_zh="有效成功率",
        question="Of what the channel could have delivered, how much did it deliver?",
        formula=(
            "Delivered attempts / (accepted attempts − pending ones − those failed for the handset's or the number's own "
            "fault: off, out of reach, memory full; does not exist, cannot receive). What remains is the channel's."
        ),
        unit="ratio",
        good="up",
        level="attempt",
        value=_ratio(_DELIVERED, _NOT_THE_HANDSET),
        n=_NOT_THE_HANDSET,
        settled_after_seconds=3600,
        settled_because=_HANDSETS,
        sources=(
            Source(
                "Tencent", _TENCENT, "among the bad receipts, invalid numbers and handsets that are off, counted apart"
            ),
        ),
    ),
    Metric(
        slug="fill_rate",
        title="Fill rate",
        title_zh="填写率",
        question="Of the codes that went out, how many came back from a person?",
        formula=(
            "Accepted code attempts whose own code was entered / accepted code attempts. Each attempt has a code of its "
            "own, so after a resend only the message that was read counts; a code entered too late counts as entered. A "
            "sender with codes of its own counts by the conversions it tells: one who tells none reads as zero."
        ),
        unit="ratio",
        good="up",
        level="attempt",
        value=_ratio(_FILLED_CODES, _ACCEPTED_CODES),
        n=_ACCEPTED_CODES,
        settled_after_seconds=3600,
        settled_because=_LIFETIME,
        sources=(
            Source(
                "Twilio",
                "https://www.twilio.com/docs/verify/api/verification-attempts-summary",
                "attempts the user confirmed / attempts; one verification may have several",
            ),
            Source(
                "Alibaba",
                "https://www.alibabacloud.com/help/en/sms/api-smsconversion",
                "codes verified, as told by the sender / codes requested",
            ),
        ),
    ),
    Metric(
        slug="verification_success_rate",
        title="Verification success rate",
        title_zh="验证成功率",
        question="Of the people who asked to be verified, how many were?",
        formula=(
            "Verifications approved / verifications started. A verification is started by its first attempt being "
            "submitted, whatever became of that attempt, and belongs to the cohort and the dimensions of that attempt, "
            "also when a later attempt over another provider brought the approval. A conversion approves like a check."
        ),
        unit="ratio",
        good="up",
        level="verification",
        value=_ratio(_APPROVED, _VERIFICATIONS),
        n=_VERIFICATIONS,
        settled_after_seconds=3600,
        settled_because=_LIFETIME,
        sources=(
            Source(
                "Vonage",
                "https://developer.vonage.com/verify/guides/velocity-rules",
                "successful verifications / verifications",
            ),
        ),
    ),
    Metric(
        slug="delivery_time",
        title="Delivery time",
        title_zh="送达时长",
        question="How long does a message take that arrives?",
        formula=(
            "Median (and p95) of the seconds from submission to the receipt that says delivered, both by our clock, over "
            "delivered attempts; between two values the percentile is interpolated. A message that never arrives has "
            "no time: read it beside the on-time rate, which counts those. A receipt stamped before its submission is 0 s. "
            "Over eight days and more both may be read from digests: on a thousand messages within two in a hundred."
        ),
        unit="seconds",
        good="down",
        level="attempt",
        value=_MEDIAN,
        n=_DELIVERED,
        settled_after_seconds=3600,
        settled_because=_HANDSETS,
        extras={"p95": _P95},
        sources=(
            Source("Infobip", _INFOBIP, "delivery within five seconds as a share; the percentiles here are ours"),
        ),
    ),
    Metric(
        slug="on_time_rate",
        title="On-time rate",
        title_zh="及时率",
        question="Of what should have arrived by now, how much arrived in time?",
        formula=(
            "Attempts delivered within T / (delivered + failed + pending for longer than T), T = 60 s unless set "
            "otherwise. A pending attempt younger than T is nobody's failure yet and counts nowhere."
        ),
        unit="ratio",
        good="up",
        level="attempt",
        value=_ratio(_ON_TIME, _DUE),
        n=_DUE,
        settled_after_seconds=120,
        settled_because=(
            "Once T has passed for all of a cohort, a later receipt turns late into late or failed; two minutes "
            "beyond T leave room for queue and insert."
        ),
        waits_for_on_time=True,
        sources=(
            Source("Infobip", _INFOBIP, "share delivered within five seconds"),
            Source(
                "GOV.UK Notify",
                "https://github.com/alphagov/notifications-api/blob/88e1e58f24d26b69c4ee00d77dbfcf78dde0b847/app/dao/notifications_dao.py",
                "messages that took longer than a limit, or wait for longer than it, are slow",
            ),
        ),
    ),
    Metric(
        slug="resend_rate",
        title="Resend rate",
        title_zh="重发率",
        question="Of the people who asked to be verified, how many had to ask again?",
        formula=(
            "Verifications in which the user asked for another code before the approval / verifications started. A "
            "failover is our doing and no resend. Cohort and dimensions are those of the first attempt: the provider "
            "whose message was missed answers for it, not the one that sent the second."
        ),
        unit="ratio",
        good="down",
        level="verification",
        value=_ratio(_ASKED_AGAIN, _VERIFICATIONS),
        n=_VERIFICATIONS,
        settled_after_seconds=3600,
        settled_because=_LIFETIME,
    ),
)
"""In the order of the design; pages and mails keep it."""

_BY_SLUG = {declared.slug: declared for declared in METRICS}


def metric(slug: str) -> Metric:
    """The metric of this slug. Raises `UnknownMetric`, which names the nearest one."""
    return _BY_SLUG[known(slug, _BY_SLUG, what="metric")]


def known(name: str, names: Iterable[str], *, what: str) -> str:
    """`name`, when it is one of `names`; else `UnknownMetric` with the nearest of them, or all."""
    names = list(names)
    if name in names:
        return name
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
    raise UnknownMetric(f"unknown {what} {name!r}; {hint}", hint=hint)
