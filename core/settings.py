"""Every setting of every program: a name with its unit, a default, a sentence. `docs/settings.md` is made from this file.

Values come from the environment (`HELIOGRAPH_STORE_URL` sets `url` in `[store]`), then from the TOML file that
`HELIOGRAPH_CONFIG` names (`heliograph.toml` in the working folder by default), then from the defaults below.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from core.errors import ConfigurationError

CONFIG_VARIABLE = "HELIOGRAPH_CONFIG"
DEFAULT_CONFIG = Path("heliograph.toml")
ENV_PREFIX = "HELIOGRAPH_"


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"no time zone is called {name!r}; write it like Europe/Berlin") from error
    return name


def _long_enough(secret: SecretStr) -> SecretStr:
    if 0 < len(secret.get_secret_value()) < 32:
        raise ValueError("a secret has at least 32 characters; `heliograph init` makes them")
    return secret


def _an_address(text: str) -> str:
    if "@" not in text or text.endswith("@"):
        raise ValueError("write an address like ada@example.org, or @example.org for all of a domain")
    return text.strip()


MailAddress = Annotated[str, AfterValidator(_an_address)]
Secret = Annotated[SecretStr, AfterValidator(_long_enough)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]


class Section(BaseModel):
    """One table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Store(Section):
    """The primary store: MySQL or MariaDB in production, SQLite where there is none."""

    url: SecretStr = Field(
        SecretStr("sqlite:///.heliograph/store.sqlite3"),
        description="SQLAlchemy address; `mysql+pymysql://user:password@host:port/database` for MySQL and MariaDB.",
    )
    connect_timeout_seconds: float = Field(2.0, gt=0, description="Longest wait for a connection.")
    read_timeout_seconds: float = Field(
        2.0, gt=0, description="Longest wait for an answer; a hung server counts as down."
    )
    lane_batch_max: int = Field(200, ge=1, le=5_000, description="Most writes that share one transaction.")
    retention_days: int = Field(
        400, ge=2, description="Age at which requests with all their facts are deleted; opt-outs and API keys stay."
    )
    lane_waiting_max: int = Field(
        5_000, ge=1, description="Most writes that may wait; beyond it callers are told to come back."
    )


class Mirror(Section):
    """Redis or Valkey: the mirror of living verifications, and the backup store."""

    url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), description="Address, with the password in it.")
    timeout_seconds: float = Field(1.0, gt=0, description="Longest wait for a connection or an answer.")


class Failover(Section):
    """When a store counts as down, and who says that it is well again."""

    window_seconds: float = Field(10.0, gt=0, description="Length of the sliding window over errors.")
    fatal_errors: int = Field(3, ge=1, description="Fatal errors within the window after which a store counts as down.")
    probe_seconds: float = Field(
        1.0, gt=0, description="Time between two probes of a store that is down; a probe writes."
    )
    automatic_recovery: bool = Field(
        False, description="Go back to a store that is well again without waiting for `heliograph failover recover`."
    )


class Queue(Section):
    """NATS JetStream."""

    url: SecretStr = Field(
        SecretStr("nats://127.0.0.1:4222"), description="Address; several, separated by commas, form a cluster."
    )
    timeout_seconds: float = Field(2.0, gt=0, description="Longest wait for JetStream to confirm a message.")
    replicas: int = Field(1, ge=1, le=5, description="Copies of each stream in a cluster.")
    retention_hours: float = Field(72.0, gt=0, description="How long a stream keeps messages that nobody took.")
    bytes_max: int = Field(4 * 1024**3, ge=1024**2, description="Size at which a stream refuses more.")


class Warehouse(Section):
    """ClickHouse, over HTTP."""

    host: str = Field("127.0.0.1", description="Host name.")
    port: int = Field(8123, ge=1, le=65_535, description="HTTP port.")
    username: str = Field("default", description="User.")
    password: SecretStr = Field(SecretStr(""), description="Password.")
    database: str = Field(
        "heliograph", pattern=r"^[A-Za-z_]\w{0,62}$", description="Database; created when it is not there."
    )
    secure: bool = Field(False, description="Use HTTPS.")
    connect_timeout_seconds: float = Field(3.0, gt=0, description="Longest wait for a connection.")
    query_timeout_seconds: float = Field(30.0, gt=0, description="Longest a query may take before it is given up.")
    cluster: str = Field(
        "",
        pattern=r"^([A-Za-z_][\w-]{0,62})?$",
        description="Cluster whose shards and replicas share the tables, by its name in ClickHouse; empty means one server.",
    )
    retention_days: int = Field(400, ge=1, description="Age at which attempts and events are dropped.")


class Journal(Section):
    """Files that hold what a store or the queue could not take."""

    folder: Path = Field(
        Path(".heliograph/journal"), description="Folder of the journal files; on a disk that survives the process."
    )
    file_bytes_max: int = Field(64 * 1024**2, ge=4096, description="Size at which a new file is begun.")
    total_bytes_max: int = Field(
        8 * 1024**3, ge=4096, description="Size of all files at which more is refused, before the disk is full."
    )


class Code(Section):
    """Verification codes (NIST SP 800-63B, OWASP: short-lived, used once, few guesses)."""

    secret: Secret = Field(
        SecretStr(""),
        description="Secret from which codes are derived; the same on all instances. Changing it voids living codes.",
    )
    length: int = Field(6, ge=4, le=10, description="Digits of a code.")
    lifetime_seconds: int = Field(600, ge=30, le=3600, description="How long a verification can be approved.")
    checks_max: int = Field(5, ge=1, le=20, description="Checks of one verification, right or wrong.")
    cooldown_seconds: list[int] = Field(
        [30, 60, 120], description="Wait before the first, second, third ... resend; the last repeats."
    )
    sends_per_ten_minutes: int = Field(
        5, ge=1, description="Attempts to send one number a code in ten minutes; codes of senders count too."
    )
    sends_per_day: int = Field(
        10, ge=1, description="Attempts to send one number a code in 24 hours; codes of senders count too."
    )


class Limits(Section):
    """Against those who make the company send codes for nothing (OWASP: SMS pumping), and for the peace of subscribers.
    0 turns a quota off. What one number may be sent in codes stands in `[code]`; no other message counts against it."""

    codes_per_address_per_hour: int = Field(
        20, ge=0, description="Codes for one `client_address` in an hour; an IPv6 address stands for its /64."
    )
    codes_per_range_per_hour: int = Field(
        200, ge=0, description="Codes in an hour for numbers that differ in their last three digits only."
    )
    notifications_per_number_per_ten_minutes: int = Field(
        10, ge=0, description="Attempts to send one number a notification in ten minutes."
    )
    notifications_per_number_per_day: int = Field(
        30, ge=0, description="Attempts to send one number a notification in 24 hours."
    )
    marketing_per_number_per_ten_minutes: int = Field(
        5, ge=0, description="Attempts to send one number marketing in ten minutes."
    )
    marketing_per_number_per_day: int = Field(
        10, ge=0, description="Attempts to send one number marketing in 24 hours."
    )
    codes_per_app_per_hour: int = Field(0, ge=0, description="Codes one app is sent in an hour.")
    codes_per_country_per_hour: int = Field(0, ge=0, description="Codes one country is sent in an hour.")
    pumping_codes_min: int = Field(
        100, ge=1, description="Codes to one network in an hour from which its share of entered codes is judged."
    )
    pumping_approved_share: float = Field(
        0.05, ge=0, le=1, description="Share of entered codes below which a network is suspected of pumping."
    )
    refuse_suspected_pumping: bool = Field(
        False,
        description="Refuse nine in ten codes to a suspected network. An outage of that network looks the same: leave it "
        "off where a code that may arrive is worth more than its price.",
    )


class Numbers(Section):
    """Phone numbers: hashed where they are counted, sealed on the queue, encrypted at rest."""

    hash_key: Secret = Field(
        SecretStr(""), description="Key of the hash that stands for a number everywhere; changing it forgets opt-outs."
    )
    seal_key: Secret = Field(SecretStr(""), description="Key that seals a number on its way to the encryption worker.")
    default_country: str = Field(
        "", pattern=r"^([A-Z]{2})?$", description="Country of numbers written without one; empty refuses them."
    )


class Encryption(Section):
    """The HTTP service that encrypts numbers at rest."""

    url: str = Field("http://127.0.0.1:8400", description="Address.")
    token: SecretStr = Field(SecretStr(""), description="Bearer token.")
    timeout_seconds: float = Field(5.0, gt=0, description="Longest wait for an answer.")
    batch_max: int = Field(200, ge=1, le=1000, description="Most numbers in one call.")


class Api(Section):
    """The HTTP API of the service."""

    host: str = Field("127.0.0.1", description="Address to listen on; loopback unless you say otherwise.")
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen on; 0 picks a free one.")
    key_secret: Secret = Field(SecretStr(""), description="Key under which API keys are hashed before they are stored.")
    body_bytes_max: int = Field(256 * 1024, ge=1024, description="Largest request body.")
    key_cache_seconds: float = Field(
        30.0,
        ge=0,
        description="How long an API key is believed without asking the store; a revoked key works that long.",
    )
    requests_waiting_max: int = Field(
        1_000,
        ge=1,
        description="Requests in hand at once; beyond it callers get 503 with Retry-After, and earlier while the process has no "
        "time to answer them.",
    )
    idempotency_hours: float = Field(24.0, gt=0, description="How long the answer to an Idempotency-Key is kept.")


class Provider(Section):
    """One SMS provider: `[[providers]]` in the file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="Its name in paths, events and charts.")
    kind: str = Field(description="Which adapter speaks to it: a module of `service/providers`.")
    url: str = Field(description="Address of its API.")
    account: str = Field("", description="Account or key id.")
    secret: SecretStr = Field(SecretStr(""), description="Key for calls to it and for the signatures of its receipts.")
    weight: float = Field(1.0, ge=0, description="Share of traffic among the providers that can take a message.")
    countries: list[str] = Field([], description="ISO codes it serves; empty means all.")
    timeout_seconds: float = Field(3.0, gt=0, description="Longest wait for its answer.")


class Template(Section):
    """One text: `[[templates]]` in the file."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$", description="Its name in requests and charts.")
    locale: str = Field("en", description="Language of the text, as a BCP 47 tag.")
    text: str = Field(
        min_length=1,
        max_length=1000,
        description="The text; `{code}` and `{minutes}` are filled in, and any name from `variables`.",
    )


class Price(Section):
    """What one part of a message costs: `[[prices]]` in the file; all in one currency."""

    provider: str = Field(description="Name of the provider.")
    country: str = Field(
        "", pattern=r"^([A-Z]{2})?$", description="ISO code; empty for all that have no price of their own."
    )
    per_part: float = Field(ge=0, description="Price of one part (segment) that the provider accepted.")


class Routing(Section):
    """How a message finds its provider."""

    deadline_seconds: float = Field(
        8.0, gt=0, description="Time for the whole request; another provider is tried while it lasts."
    )
    attempts_max: int = Field(3, ge=1, le=10, description="Most providers tried for one send.")
    breaker_failures: int = Field(5, ge=1, description="Failures in a row after which a provider rests.")
    breaker_seconds: float = Field(15.0, gt=0, description="How long it rests before one message tries it again.")


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


class Mail(Section):
    """SMTP, for reports and alerts."""

    host: str = Field("127.0.0.1", description="Host name.")
    port: int = Field(25, ge=1, le=65_535, description="Port.")
    security: Literal["none", "starttls", "tls"] = Field("none", description="How the connection is protected.")
    username: str = Field("", description="User; empty means no sign-in.")
    password: SecretStr = Field(SecretStr(""), description="Password.")
    sender: str = Field("Heliograph <heliograph@localhost>", description="From.")
    recipients: list[str] = Field([], description="To.")
    timeout_seconds: float = Field(10.0, gt=0, description="Longest wait for the server.")


class Alerts(Section):
    """Alerts: what waits and what was told, and how often the same thing is told again."""

    folder: Path = Field(
        Path(".heliograph/alerts"),
        description="Where alerts are kept until every channel has them; all programs of a machine share it.",
    )
    time_zone: TimeZone = Field("UTC", description="Zone of the times in alerts and of `quiet_hours`.")
    quiet_minutes: float = Field(
        60.0, ge=0, description="An update without anything new is told again only after this time."
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
        description="Addresses that may silence, comment and retry; `@example.org` stands for all of a domain.",
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


class Settings(Section):
    """All sections. A program takes the sections it needs and passes them on as arguments."""

    store: Store = Store()
    mirror: Mirror = Mirror()
    failover: Failover = Failover()
    queue: Queue = Queue()
    warehouse: Warehouse = Warehouse()
    journal: Journal = Journal()
    code: Code = Code()
    limits: Limits = Limits()
    numbers: Numbers = Numbers()
    encryption: Encryption = Encryption()
    api: Api = Api()
    routing: Routing = Routing()
    ingest: Ingest = Ingest()
    metrics: Metrics = Metrics()
    detection: Detection = Detection()
    mail: Mail = Mail()
    alerts: Alerts = Alerts()
    reports: Reports = Reports()
    dashboard: Dashboard = Dashboard()
    providers: list[Provider] = []
    templates: list[Template] = []
    prices: list[Price] = []
    alert_channels: list[AlertChannel] = []
    alert_routes: list[AlertRoute] = []


def load(environ: Mapping[str, str] | None = None, config: Path | None = None) -> Settings:
    """Settings from `config` (or the file that the environment names) with the environment laid over it.

    Raises `ConfigurationError` that names each wrong setting, and never repeats a value.
    """
    environ = os.environ if environ is None else environ
    tables = _read_file(config or _config_of(environ))
    for variable in sorted(environ):
        if variable.startswith(ENV_PREFIX) and variable != CONFIG_VARIABLE:
            _lay_over(tables, variable, environ[variable])
    try:
        return Settings.model_validate(tables)
    except ValidationError as error:
        raise ConfigurationError(
            _describe(error), hint="docs/settings.md lists every setting with its meaning"
        ) from None


def _config_of(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def _read_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the settings file {path} is not TOML: {error}") from error


def _lay_over(tables: dict[str, Any], variable: str, text: str) -> None:
    section, _, name = variable.removeprefix(ENV_PREFIX).lower().partition("_")
    field = Settings.model_fields.get(section)
    model = field.annotation if field else None
    if not (isinstance(model, type) and issubclass(model, Section)):
        return  # a variable of another program that shares the prefix
    if name not in model.model_fields:
        near = difflib.get_close_matches(name, model.model_fields, n=1)
        hint = f"did you mean {ENV_PREFIX}{section.upper()}_{near[0].upper()}?" if near else ""
        raise ConfigurationError(f"{variable}: [{section}] has no setting called {name!r}", hint=hint)
    is_list = str(model.model_fields[name].annotation).startswith("list")
    tables.setdefault(section, {})[name] = _split(text) if is_list else text


def _split(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        try:
            return list(json.loads(text))
        except json.JSONDecodeError:
            return [text]
    return [part.strip() for part in text.split(",") if part.strip()]


def _describe(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, row['loc']))}: {row['msg']}"
        for row in error.errors(include_input=False, include_url=False)
    )
