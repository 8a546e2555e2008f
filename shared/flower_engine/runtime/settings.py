"""The one frozen settings object: what there is to set, with types, defaults and bounds.

``settings_loading.py`` builds it from ``FLOWER_*`` variables and flags.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from flower_engine.runtime import settings_checks
from flower_engine.runtime.api_tokens import ApiToken

_PREFIX = "FLOWER_"
_A_DAY = 86_400
_A_YEAR = 365 * _A_DAY
_MAX_EVENTS = 10**12
_MAX_MB = 1 << 20  # a terabyte

Names = tuple[str, ...]
"""Names: as a variable separated by commas, as a flag repeatable."""


class Settings(BaseModel):
    """Everything an operator may set; each field is the variable ``FLOWER_<FIELD>``.

    Build it once, with :func:`settings_loading.load_settings`, and hand it down. A variable that is empty
    counts as not set. What is a secret may stand in a file instead, which ``FLOWER_<FIELD>_FILE`` names.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    home: Path = Field(Path(".flower"), description="data folder of the embedded stores")
    redis_url: str | None = Field(
        None,
        repr=False,
        description="Redis or Valkey to use instead of the embedded one; a cluster, or sentinels, too",
    )
    database_url: str | None = Field(
        None, repr=False, description="Postgres to use instead of the embedded one"
    )
    database_direct_url: str | None = Field(
        None,
        repr=False,
        description="the same Postgres past a pooler of transactions (pgbouncer), for listening to changes"
        " of definitions; not set: they are looked for",
    )
    database_read_url: str | None = Field(
        None,
        repr=False,
        description="a standby of that Postgres, which the API reads from for those who have seen no more"
        " than it has; not set: none",
    )
    partitions: int = Field(
        1,
        ge=1,
        le=4096,
        description="parts of the flows, each with a log of its own, at the first start; later"
        " `flower partitions --add`",
    )

    url: str | None = Field(
        None,
        description="where the API is, for commands and for workers that keep blobs there; not set: that of a"
        " running `flower up`, else http://127.0.0.1:8000",
    )
    token: SecretStr | None = Field(
        None, repr=False, description="the token that commands and workers send to the API"
    )

    host: str = Field("127.0.0.1", description="address the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="port the API listens on")

    api_tokens: tuple[ApiToken, ...] = Field(
        (),
        description="who may use the API: name:token or name:token:read, separated by commas; with roles that"
        " approvals ask for behind it: name:token:operator:ops+dwh",
    )

    link_secret: SecretStr | None = Field(
        None,
        description="what links are signed with that answer approvals, 16 characters or more; not set: there"
        " are none. With a blank and the one before behind it while it changes",
    )
    public_url: str | None = Field(
        None,
        description="where people reach the API, for links; not set: as whoever makes the link reaches it",
    )

    allowed_hosts: Names = Field(
        (),
        description="names of hosts that the API is asked as, besides loopback; not set: with tokens any,"
        " without tokens none",
    )

    max_connections: int = Field(
        2_000,
        ge=1,
        le=1_000_000,
        description="connections to the API at one time, of which half may wait for flows; others get a 503",
    )
    head_seconds: float = Field(
        10.0, ge=0.1, le=_A_DAY, description="how long a request's line and headers may take to come"
    )
    body_seconds: float = Field(
        60.0, ge=0.1, le=_A_DAY, description="how long a request's body may take to come"
    )
    max_bodies_mb: int = Field(
        64,
        ge=8,
        le=1_048_576,
        description="bodies of all requests together that are in memory; others get a 503",
    )

    max_blob_mb: int = Field(
        1_024, ge=1, le=_MAX_MB, description="how large a blob may be that the API stores"
    )
    blobs: Names = Field(
        (),
        description="stores of blobs (large results, files of programs): `api` (Postgres, through the API) or"
        " URLs of fsspec; the first is written to, all are read; not set: none",
    )

    task_log_store: str | None = Field(
        None,
        description="a URL of fsspec where projectors keep the lines of task logs and the API reads them; not"
        " set: Postgres",
    )

    queues: Names = Field(
        ("default",), min_length=1, description="queues a worker serves, in this order, or by weight: a=3,b=1"
    )
    secrets_grants: Names = Field(
        (),
        description="which secrets tasks of which workflows may have: workflow:NAME, each may have a *; not"
        " set: none",
    )
    secrets_prefix: str = Field(
        "FLOWER_SECRET_", min_length=1, description="a worker's variable of this and NAME is the secret NAME"
    )
    secrets_folder: Path | None = Field(
        None, description="a file NAME in this folder is the secret NAME, where no variable is"
    )
    programs: Names = Field((), description="modules that a worker imports for their programs")
    concurrency: int = Field(100, ge=1, le=10_000, description="task slots of a worker")
    processes: int = Field(0, ge=0, le=512, description="processes for CPU-bound programs; 0: one per core")
    grace_seconds: float = Field(
        10.0, ge=0, le=_A_DAY, description="how long a stopping worker lets attempts finish"
    )

    lease_seconds: float = Field(
        15.0, ge=0.1, le=_A_DAY, description="without a heartbeat for this long a lease lapses"
    )
    heartbeat_seconds: float = Field(
        3.0, ge=0.01, le=_A_DAY, description="how often a worker renews its leases"
    )
    max_lost: int = Field(
        3, ge=1, le=1_000, description="lost workers after which a task is suspended as poison"
    )

    projector_batch_events: int = Field(
        5_000, ge=1, le=100_000, description="events that a projector writes in one transaction at most"
    )
    log_tail_events: int = Field(10_000, ge=1, le=_MAX_EVENTS, description="projected events kept in the log")
    log_tail_hours: float = Field(
        0.0,
        ge=0,
        le=8_760,
        description="projected events of the last so many hours are kept too; 0: by number only",
    )
    log_tail_mb: int = Field(
        1_024,
        ge=1,
        le=_MAX_MB,
        description="but no more of them than fit the log into so much of Redis' memory",
    )
    durability: Literal["memory", "fsynced", "replicated"] | None = Field(
        None,
        description="what holds of a registration before it is acknowledged; refused at start where Redis"
        " cannot keep it; not set: what Redis gives without waiting",
    )
    max_unprojected_events: int = Field(
        1_000_000,
        ge=1,
        le=_MAX_EVENTS,
        description="events that are not in Postgres yet, beyond which no flow is registered",
    )
    max_unprojected_mb: int = Field(
        1_024, ge=1, le=_MAX_MB, description="the same as Redis' memory that these events take"
    )
    ended_keep_seconds: float = Field(
        3_600.0,
        ge=60,
        le=_A_YEAR,
        description="how long an ended flow is remembered in Redis; an operation on one that takes longer"
        " to read its history begins again",
    )

    max_kept_mb: int = Field(
        256,
        ge=1,
        le=1_048_576,
        description="results that a partition keeps in Redis for tasks to come; workers store those beyond as"
        " blobs, where they have a store",
    )
    park_hours: float = Field(
        24.0,
        ge=0,
        le=87_600,
        description="suspended flows that nothing happened to for so long leave Redis until somebody acts on"
        " them; 0: never",
    )
    retention_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="flows that ended so many days ago are pruned, with their events; not set: none",
    )
    hook_networks: Names = Field(
        ("public",),
        description="where webhooks may go: public, private, loopback, or networks as 10.1.0.0/16",
    )
    hook_commands: Names = Field(
        (), description="commands that hooks may run: name=/absolute/path; not set: none"
    )
    hook_modules: Names = Field(
        (), description="modules that the projector imports for their hooks (`@hook`); not set: none"
    )
    hook_secrets: Names = Field(
        (), description="names of secrets that webhooks may be signed with, each may have a *; not set: none"
    )
    hook_timeout_seconds: float = Field(
        15.0, ge=0.1, le=600, description="how long a hook's receiver, command or function may take"
    )
    auto_recover: bool | None = Field(
        None, description="whether the projector recovers a lost Redis by itself; not set: an embedded one"
    )

    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="port at which each service tells of itself (/metrics); 0: any free one, which its log"
        " names; not set: none",
    )
    metrics_host: str = Field("127.0.0.1", description="address at which it does so; it asks for no token")

    traces_endpoint: str | None = Field(
        None,
        description="receiver of OTLP that the projector exports traces of flows to: http://host:4318, or"
        " with grpc http://host:4317 (https: TLS); not set: none",
    )
    traces_protocol: Literal["http", "grpc"] = Field(
        "http", description="how that receiver is spoken to: http or grpc"
    )
    traces_headers: SecretStr | None = Field(
        None,
        repr=False,
        description="headers that it is sent: name=value, separated by commas; values may be encoded as in"
        " URLs",
    )

    task_logs: Literal["on", "off"] = Field(
        "on", description="whether workers keep what programs print and log: on or off"
    )
    task_log_max_kb: int = Field(
        1024,
        ge=2,
        le=1_048_576,
        description="how much of an attempt's log is kept: half of it from its beginning, half from its end",
    )
    task_log_buffer_mb: int = Field(
        64,
        ge=1,
        le=1_048_576,
        description="lines of tasks that a partition keeps in Redis until a projector has stored them; the"
        " oldest go first",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="from which level on a service logs: DEBUG, INFO, WARNING or ERROR"
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="how a service logs: text for people, or json, an object a line"
    )

    @property
    def lease_ms(self) -> int:
        return int(self.lease_seconds * 1000)

    @property
    def api_url(self) -> str:
        """Where the API is."""
        return self.url or "http://127.0.0.1:8000"

    def as_environment(self) -> dict[str, str]:
        """The variables that give a child process these settings."""
        values = {name: getattr(self, name) for name in sorted(self.model_fields_set)}
        return {variable(name): _as_text(value) for name, value in values.items() if value is not None}

    _long_enough = field_validator("link_secret")(settings_checks.long_enough)
    _tokens = field_validator("api_tokens", mode="before")(settings_checks.tokens)
    _names = field_validator(
        *("queues", "programs", "allowed_hosts", "blobs", "secrets_grants"),
        *("hook_networks", "hook_commands", "hook_modules", "hook_secrets"),
        mode="before",
    )(settings_checks.names)
    _weighted_queues = field_validator("queues")(settings_checks.weighted_queues)
    _names_of_hosts = field_validator("allowed_hosts")(settings_checks.names_of_hosts)
    _grants = field_validator("secrets_grants")(settings_checks.grants)
    _networks = field_validator("hook_networks")(settings_checks.networks)
    _commands = field_validator("hook_commands")(settings_checks.commands)
    _urls_of_http = field_validator("url", "traces_endpoint")(settings_checks.url_of_http)
    _with_host = field_validator("traces_endpoint")(settings_checks.with_host)
    _stores_of_blobs = field_validator("blobs")(settings_checks.stores_of_blobs)
    _store_of_lines = field_validator("task_log_store")(settings_checks.store_of_lines)
    _in_capitals = field_validator("log_level", mode="before")(settings_checks.in_capitals)
    _in_small_letters = field_validator("log_format", "task_logs", mode="before")(
        settings_checks.in_small_letters
    )
    _without_tilde = field_validator("home", "secrets_folder")(settings_checks.without_tilde)
    _redis = field_validator("redis_url")(settings_checks.address_of_redis)
    _postgres = field_validator("database_url", "database_direct_url", "database_read_url")(
        settings_checks.address_of_postgres
    )
    _beats = field_validator("heartbeat_seconds")(settings_checks.beats_twice_a_lease)

    @model_validator(mode="after")
    def _have_stores_of_their_own(self) -> Self:
        own = f"{self.task_log_store or ''}".rstrip("/") + "/"
        for store in self.blobs if self.task_log_store else ():
            other = store.rstrip("/") + "/"
            if own.startswith(other) or other.startswith(own):
                raise ValueError(
                    "FLOWER_TASK_LOG_STORE lies in a store of FLOWER_BLOBS, or one of these in it: each"
                    " deletes what it does not know, so give them places of their own"
                )
        return self


def variable(field: str) -> str:
    """The environment variable of a field of Settings."""
    return _PREFIX + field.upper()


def _as_text(value: Any) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType]
