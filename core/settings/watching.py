"""What becomes of the events: ingest, metrics and detection, and the alerts, reports and dashboard made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from core.settings.section import MailAddress, Section, TimeZone


class Ingest(Section):
    """The queue's way into the warehouse."""

    batch_max: int = Field(
        200, ge=1, le=5_000, description="Most queue messages taken at once; each carries a batch of events."
    )
    wait_seconds: float = Field(0.5, gt=0, le=30, description="Longest wait for a batch to gather.")


class Metrics(Section):
    """What the ten metrics depend on besides the data."""

    on_time_seconds: int = Field(60, ge=1, le=3600, description="A message delivered within this time is on time.")


class Detection(Section):
    """Finding degraded channels, every minute."""

    enabled: bool = Field(True, description="Look for degraded channels; the scheduler does it every minute.")
    false_alarms_per_day: float = Field(
        0.5,
        gt=0,
        le=100,
        description="False alarms a day that are tolerated, of all channels together: fewer means later.",
    )
    baseline_days: int = Field(14, ge=2, le=60, description="Days before now that say what is usual.")
    settle_seconds: float = Field(
        20.0, ge=0, le=600, description="How long after its end a minute is judged: what comes later counts as late."
    )


class Alerts(Section):
    """Alerts: what waits and what was told, and how often the same thing is told again."""

    folder: Path = Field(
        Path(".heliograph/alerts"),
        description="Where alerts are kept until every channel has them; all programs of a machine share it.",
    )
    time_zone: TimeZone = Field("UTC", description="Zone of the times in alerts and of `quiet_hours`.")
    quiet_minutes: float = Field(
        60.0,
        ge=0,
        description="An update without anything new waits this long after the last one; an open incident is told again then.",
    )
    give_up_hours: float = Field(24.0, gt=0, description="How long a channel that fails is tried for an alert.")
    keep_days: int = Field(30, ge=1, description="How long alerts that went are kept to be listed.")
    silence_minutes: float = Field(
        10.0, ge=2, description="Time without a new attempt, where some were to be expected, that is an alert itself."
    )


class AlertChannel(Section):
    """A way to people: `[[alert_channels]]` in the file. `mail` is there without a row, and reaches [mail] recipients."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="Its name in routes and commands.")
    url: SecretStr = Field(
        SecretStr(""),
        description="Address in the form of Apprise, such as `slack://…`, `dingtalk://…`, `feishu://…`, `wecombot://…`, "
        "`workflows://…` (Teams), `pagerduty://…`, `jsons://…` (a webhook); a secret.",
    )
    recipients: list[str] = Field([], description="Mail addresses, instead of `url`.")

    @model_validator(mode="after")
    def _one_way(self) -> AlertChannel:
        if bool(self.url.get_secret_value()) == bool(self.recipients):
            raise ValueError("a channel has either a url or recipients")
        if self.name == "mail":
            raise ValueError(
                "the channel mail is there already: it reaches [mail] recipients; give this one another name"
            )
        return self


class AlertRoute(Section):
    """Which alerts go where: `[[alert_routes]]` in the file. The first route that fits decides; what fits none goes to
    `mail`, or to every channel where [mail] has no recipients."""

    kinds: list[str] = Field([], description="Kinds of alert, `*` stands for anything (`store_*`); empty fits all.")
    severities: list[Literal["critical", "warning", "info"]] = Field([], description="Severities; empty fits all.")
    labels: dict[str, list[str]] = Field(
        {}, description='Labels with the values that fit, such as `{ country = ["CN"] }`; all of them have to.'
    )
    channels: list[str] = Field([], description="Where they go; empty: nowhere, they are only listed.")
    quiet_hours: str = Field(
        "",
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$",
        description="Hours in which all but critical alerts wait, such as `22:00-07:00`.",
    )


class Reports(Section):
    """The quality reports: of a day, a week, a month."""

    folder: Path = Field(Path(".heliograph/reports"), description="Where sent reports are kept, and which were sent.")
    time_zone: TimeZone = Field("UTC", description="Whose midnight ends a day.")
    hour: int = Field(8, ge=0, le=23, description="Hour of the day, in that zone, at which reports are sent.")
    daily: bool = Field(True, description="Send yesterday's report every day.")
    weekly: bool = Field(True, description="Send the report of the last week, Monday to Sunday.")
    weekly_on: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] = Field(
        "monday", description="Weekday on which the weekly report is sent."
    )
    monthly: bool = Field(True, description="Send the report of the last month.")
    monthly_on: int = Field(1, ge=1, le=28, description="Day of the month on which the monthly report is sent.")
    dashboard_url: str = Field("", description="Address of the dashboard, for links in mails.")


class Dashboard(Section):
    """Who may look at the dashboard, and what it shows beside the warehouse's figures."""

    currency: str = Field("", max_length=8, description="Name of the currency of `[[prices]]`, such as EUR.")
    sign_in_file: str = Field(
        "",
        description="TOML file with the table `[auth]` of Streamlit, a secret: the identity provider people sign in with. "
        "Empty: nobody signs in, and the dashboard listens on loopback only.",
    )
    operators: list[MailAddress] = Field(
        [],
        description="Addresses that may silence, comment, retry and send again; `@example.org` stands for all of a domain.",
    )
    viewers: list[MailAddress] = Field(
        [], description="Addresses that may look, likewise; empty means everybody whom the provider lets sign in."
    )
    verified_claim: str = Field(
        "email_verified",
        min_length=1,
        description="Claim by which the provider says that an address was verified; Microsoft Entra ID calls it `xms_edov`.",
    )

    @model_validator(mode="after")
    def _lists_are_used(self) -> Dashboard:
        if (self.operators or self.viewers) and not self.sign_in_file:
            raise ValueError("operators and viewers mean nothing until sign_in_file says how they sign in")
        return self
