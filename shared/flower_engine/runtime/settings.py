"""The one frozen settings object, built from ``FLOWER_*`` variables and flags."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from flower_engine.errors import SettingsError
from flower_engine.runtime.api_tokens import ApiToken, read_tokens
from flower_engine.runtime.store_addresses import check_database_url, check_redis_url
from flower_engine.secrets import (
    hide_secrets,
    learn_address,
    learn_environment,
    learn_headers,
    learn_secrets,
    learn_tokens,
)

_PREFIX = "FLOWER_"
_MAX_WEIGHT = 1_000.0
_A_DAY = 86_400
_A_YEAR = 365 * _A_DAY
_MAX_EVENTS = 10**12
_MAX_MB = 1 << 20  # a terabyte
_MAX_QUOTED = 60
_OF_OTHERS = ("CRASH_AT",)  # of tests

Names = tuple[str, ...]
"""Names: as a variable separated by commas, as a flag repeatable."""


def _refuse_store(store: str) -> None:
    """Raises ValueError where a URL of a store is none that several processes can use."""
    if "@" in urlsplit(store).netloc:  # every result would show it
        raise ValueError(
            "a URL with a user or password would stand in events: give them to fsspec by its own"
            " variables (FSSPEC_S3_KEY) or the store's"
        )
    kind, _, place = store.partition("://")
    if store.startswith("memory:"):
        raise ValueError(
            f"{store!r} is the memory of one process: what is stored there is gone with it, and no"
            " other process finds it; take api, or a URL of a folder or bucket"
        )
    if kind in ("file", "local") and not place.startswith("/"):
        raise ValueError(
            f"{store!r} depends on the folder that each process runs in: write an absolute path, as"
            " file:///srv/blobs is"
        )


class Settings(BaseModel):
    """Everything an operator may set; each field is the variable ``FLOWER_<FIELD>``.

    Build it once, with :func:`load_settings`, and hand it down. A variable that is empty counts as not set.
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
    partitions: int = Field(
        1,
        ge=1,
        le=4096,
        description="parts of the flows, each with a log of its own; fixed at the first start",
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

    @field_validator("link_secret")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        short = value is not None and any(len(one) < 16 for one in value.get_secret_value().split() or [""])
        if short:
            raise ValueError("a secret of links has 16 characters or more")
        return value

    @field_validator("api_tokens", mode="before")
    @classmethod
    def _read_tokens(cls, value: Any) -> Any:
        return read_tokens(value) if isinstance(value, str) else value

    @field_validator(
        *("queues", "programs", "allowed_hosts", "blobs", "secrets_grants"),
        *("hook_networks", "hook_commands", "hook_modules", "hook_secrets"),
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        parts: Iterable[str] = [value] if isinstance(value, str) else value
        return tuple(word.strip() for part in parts for word in part.split(",") if word.strip())

    @field_validator("queues")
    @classmethod
    def _with_fit_weights(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names: set[str] = set()
        for entry in value:
            name, has_weight, weight = entry.rpartition("=")
            if not has_weight:
                continue
            if not name:
                raise ValueError(f"{entry!r} has no name of a queue before its weight")
            if not re.fullmatch(r"\d+(\.\d+)?", weight, re.ASCII) or not 0 < float(weight) <= _MAX_WEIGHT:
                raise ValueError(
                    f"the weight of queue {name!r} is {weight!r}, which is no number above 0 up to"
                    f" {_MAX_WEIGHT:g} (a queue whose name has a = in it needs a weight: {entry}=1)"
                )
            if name in names:
                raise ValueError(f"queue {name!r} stands twice")
            names.add(name)
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _is_name_of_host(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not re.fullmatch(r"[\w.-]+|\[?[\da-fA-F:.]+\]?", name):
                raise ValueError(f"{name!r} is no name of a host: give it without scheme, port and path")
        return value

    @field_validator("secrets_grants")
    @classmethod
    def _are_grants(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for grant in value:
            workflow, _, name = grant.rpartition(":")
            if not workflow or not name:
                raise ValueError(f"{grant!r} is no workflow:NAME")
        return value

    @field_validator("hook_networks")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            if network not in ("public", "private", "loopback"):
                try:
                    ip_network(network)
                except ValueError as error:
                    raise ValueError(
                        f"{network!r} is none of public, private, loopback, and no network: {error}"
                    ) from None
        return value

    @field_validator("hook_commands")
    @classmethod
    def _are_commands(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for command in value:
            name, _, path = command.partition("=")
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", name) or not path.startswith("/"):
                raise ValueError(
                    f"{command!r} is no name=/absolute/path (letters, digits and _.- in the name)"
                )
        return value

    @field_validator("url", "traces_endpoint")
    @classmethod
    def _is_url_of_http(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://[^/?#\s]", value):
            raise ValueError("it is no URL of HTTP, as http://127.0.0.1:8000 is")
        return value

    @field_validator("traces_endpoint")
    @classmethod
    def _names_a_host(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if not parts.hostname or parts.port == 0:  # a port that is none raises ValueError itself
                raise ValueError("it names no host, as http://127.0.0.1:4318 does")
        return value

    @field_validator("blobs")
    @classmethod
    def _are_stores_of_blobs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for store in value:
            if store != "api" and not re.match(r"[a-z][a-z0-9+.-]*://?[^\s]", store):
                raise ValueError(f"{store!r} is neither api nor a URL, as file:///srv/blobs is")
            _refuse_store(store)
        return value

    @field_validator("task_log_store")
    @classmethod
    def _is_store_of_lines(cls, value: str | None) -> str | None:
        if value is not None:
            if not re.match(r"[a-z][a-z0-9+.-]*://?[^\s]", value):
                raise ValueError(f"{value!r} is no URL, as file:///srv/task-logs is")
            _refuse_store(value)
        return value

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

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("log_format", "task_logs", mode="before")
    @classmethod
    def _in_small_letters(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("home", "secrets_folder")
    @classmethod
    def _without_tilde(cls, value: Path | None) -> Path | None:
        return value and value.expanduser()

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str | None) -> str | None:
        if value is not None:
            check_redis_url(value)
        return value

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _is_postgres(cls, value: str | None) -> str | None:
        if value is not None:
            check_database_url(value)
        return value

    @field_validator("heartbeat_seconds")
    @classmethod
    def _beats_twice_a_lease(cls, value: float, info: ValidationInfo) -> float:
        lease_seconds: float | None = info.data.get("lease_seconds")  # absent if it is wrong itself
        if lease_seconds is not None and value >= lease_seconds / 2:
            raise ValueError(
                f"should be less than half of FLOWER_LEASE_SECONDS ({lease_seconds:g}), "
                "so that one lost heartbeat does not lose a lease"
            )
        return value


def load_settings(**flags: Any) -> Settings:
    """Settings from the environment, overridden by the flags that are not None.

    Raises:
        SettingsError: every setting that is wrong, each with its variable's name.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    # Whatever becomes of them, from here on no text shows a secret of these.
    learn_environment(os.environ)
    for name in ("redis_url", "database_url", "database_direct_url", "url", "traces_endpoint"):
        learn_address(given.get(name))
    if isinstance(given.get("api_tokens"), str):
        learn_tokens(given["api_tokens"])
    try:
        settings = Settings.model_validate({**_of_environment(os.environ), **given})
    except ValidationError as error:
        problems = "; ".join(_sentence(problem) for problem in error.errors())
        raise SettingsError(f"settings are wrong: {problems}") from None  # the cause quotes what was given
    learn_secrets(token.secret.get_secret_value() for token in settings.api_tokens)
    learn_secrets([settings.token.get_secret_value() if settings.token else None])
    learn_secrets(settings.link_secret.get_secret_value().split() if settings.link_secret else ())
    learn_headers(settings.traces_headers.get_secret_value() if settings.traces_headers else None)
    return settings


def _of_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the environment sets, by field; names of variables in small letters are taken, too."""
    texts = {name.upper(): text for name, text in environment.items() if text}
    given = {field: texts.get(variable(field)) for field in Settings.model_fields}
    return {field: text for field, text in given.items() if text is not None}


def variable(field: str) -> str:
    """The environment variable of a field of Settings."""
    return _PREFIX + field.upper()


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each FLOWER_ variable that is no setting: mostly a slip of the pen, so only said."""
    known = [*(field.upper() for field in Settings.model_fields), *_OF_OTHERS]
    secrets = environment.get(variable("secrets_prefix")) or Settings.model_fields["secrets_prefix"].default
    given = [name.removeprefix(_PREFIX) for name in sorted(environment) if name.startswith(_PREFIX)]
    sentences: list[str] = []
    for name in given:
        if name not in known and not (_PREFIX + name).startswith(secrets):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (is it {_PREFIX}{near[0]}?)" if near else ""
            sentences.append(f"{_PREFIX}{name} is not a setting and is ignored{hint}")
    return sentences


def _sentence(problem: ErrorDetails) -> str:
    if not problem["loc"]:  # of several settings together
        return hide_secrets(problem["msg"].removeprefix("Value error, "))
    field = str(problem["loc"][0])
    # An address may hold a password, and tokens are secrets, so they are not repeated.
    hidden = ("url", "token", "_tokens", "_secret", "blobs", "_endpoint", "_headers")
    given = "" if field.endswith(hidden) else f" = {_quoted(problem['input'])}"
    return hide_secrets(f"{variable(field)}{given}: {problem['msg'].removeprefix('Value error, ')}")


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}..."


def _as_text(value: Any) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType]
