"""The one frozen settings object, built from ``FLOWER_*`` variables and flags."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from flower_engine.errors import SettingsError

_PREFIX = "FLOWER_"
_MAX_WEIGHT = 1_000.0
_OF_OTHERS = ("URL", "TOKEN", "CRASH_AT")  # of the commands that talk to the API, and of tests

Names = Annotated[tuple[str, ...], NoDecode]
"""Names: as a variable separated by commas, as a flag repeatable."""


class ApiToken(BaseModel):
    """A token of the API: whose it is, the secret, and whether it may do more than read."""

    model_config = ConfigDict(frozen=True)

    name: str
    secret: SecretStr
    may_operate: bool

    def __str__(self) -> str:
        """As the variable has it, secret included: for the environment of child processes."""
        role = "" if self.may_operate else ":read"
        return f"{self.name}:{self.secret.get_secret_value()}{role}"


ApiTokens = Annotated[tuple[ApiToken, ...], NoDecode]


class Settings(BaseSettings):
    """Everything an operator may set; each field is the variable ``FLOWER_<FIELD>``.

    Build it once, with :func:`load_settings`, and hand it down. A variable that is empty counts as not set.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    home: Path = Field(Path(".flower"), description="data folder of the embedded stores")
    redis_url: str | None = Field(None, description="Redis or Valkey to use instead of the embedded one")
    database_url: str | None = Field(None, description="Postgres to use instead of the embedded one")
    partitions: int = Field(1, ge=1, le=4096, description="fixed at first start, then checked")

    host: str = Field("127.0.0.1", description="address the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="port the API listens on")

    api_tokens: ApiTokens = Field(
        (), description="who may use the API: name:token or name:token:read, separated by commas"
    )

    queues: Names = Field(
        ("default",), min_length=1, description="queues a worker serves, in this order, or by weight: a=3,b=1"
    )
    programs: Names = Field((), description="modules that a worker imports for their programs")
    concurrency: int = Field(100, ge=1, le=10_000, description="task slots of a worker")
    processes: int = Field(0, ge=0, le=512, description="processes for CPU-bound programs; 0: one per core")
    grace_seconds: float = Field(10.0, ge=0, description="how long a stopping worker lets attempts finish")

    lease_seconds: float = Field(15.0, gt=0, description="without a heartbeat for this long a lease lapses")
    heartbeat_seconds: float = Field(3.0, gt=0, description="how often a worker renews its leases")
    max_lost: int = Field(3, ge=1, description="lost workers after which a task is suspended as poison")

    projector_batch_events: int = Field(5_000, ge=1, le=100_000)
    log_tail_events: int = Field(10_000, ge=1, description="projected events kept in the log")
    log_tail_hours: float = Field(
        0.0,
        ge=0,
        le=8_760,
        description="projected events of the last so many hours are kept too; 0: by number only",
    )
    log_tail_mb: int = Field(
        1_024, ge=1, description="but no more of them than fit the log into so much of Redis' memory"
    )
    durability: Literal["memory", "fsynced", "replicated"] | None = Field(
        None,
        description="what holds of a registration before it is acknowledged; refused at start where Redis"
        " cannot keep it; not set: what Redis gives without waiting",
    )
    max_unprojected_events: int = Field(
        1_000_000, ge=1, description="events that are not in Postgres yet, beyond which no flow is registered"
    )
    max_unprojected_mb: int = Field(
        1_024, ge=1, description="the same as Redis' memory that these events take"
    )
    ended_keep_seconds: float = Field(
        3_600.0,
        ge=60,
        description="how long an ended flow is remembered in Redis; an operation on one that takes longer"
        " to read its history begins again",
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
        description="flows that ended so many days ago are pruned, with their events; not set: none",
    )
    auto_recover: bool | None = Field(
        None, description="whether the projector recovers a lost Redis by itself; not set: an embedded one"
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def lease_ms(self) -> int:
        return int(self.lease_seconds * 1000)

    def as_environment(self) -> dict[str, str]:
        """The variables that give a child process these settings."""
        values = {name: getattr(self, name) for name in sorted(self.model_fields_set)}
        return {variable(name): _as_text(value) for name, value in values.items() if value is not None}

    @field_validator("api_tokens", mode="before")
    @classmethod
    def _read_tokens(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        tokens: list[ApiToken] = []
        for number, entry in enumerate(filter(None, (part.strip() for part in value.split(","))), start=1):
            name, _, rest = entry.partition(":")
            secret, _, role = rest.partition(":")
            if not name or not secret or role not in ("", "read", "operator"):
                raise ValueError(
                    f"entry {number} should be name:token, name:token:read or name:token:operator"
                )
            tokens.append(ApiToken(name=name, secret=SecretStr(secret), may_operate=role != "read"))
        names = [token.name for token in tokens]
        if len(set(names)) < len(names):
            raise ValueError("a name stands twice")
        return tuple(tokens)

    @field_validator("queues", "programs", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        parts: Iterable[str] = [value] if isinstance(value, str) else value
        return tuple(word.strip() for part in parts for word in part.split(",") if word.strip())

    @field_validator("queues")
    @classmethod
    def _with_fit_weights(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            name, _, weight = entry.rpartition("=")
            if name and re.fullmatch(r"-?[\d.]+", weight) and not 0 < _number(weight) <= _MAX_WEIGHT:
                raise ValueError(f"the weight of queue {name!r} is {weight}, outside 0..{_MAX_WEIGHT:g}")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("home")
    @classmethod
    def _without_tilde(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("should begin with redis://, rediss:// or unix://")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError("should begin with postgresql://")
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
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = "; ".join(_sentence(problem) for problem in error.errors())
        raise SettingsError(f"settings are wrong: {problems}") from error


def variable(field: str) -> str:
    """The environment variable of a field of Settings."""
    return _PREFIX + field.upper()


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each FLOWER_ variable that is no setting: mostly a slip of the pen, so only said."""
    known = [*(field.upper() for field in Settings.model_fields), *_OF_OTHERS]
    given = [name.removeprefix(_PREFIX) for name in sorted(environment) if name.startswith(_PREFIX)]
    sentences: list[str] = []
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (is it {_PREFIX}{near[0]}?)" if near else ""
            sentences.append(f"{_PREFIX}{name} is not a setting and is ignored{hint}")
    return sentences


def _sentence(problem: ErrorDetails) -> str:
    field = str(problem["loc"][0])
    # An address may hold a password, and tokens are secrets, so they are not repeated.
    given = "" if field.endswith(("_url", "_tokens")) else f" = {problem['input']!r}"
    return f"{variable(field)}{given}: {problem['msg'].removeprefix('Value error, ')}"


def _as_text(value: Any) -> str:
    if isinstance(value, Path):
        return str(value.absolute())
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0
