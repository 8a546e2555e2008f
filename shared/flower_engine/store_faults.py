"""What an error of a store means: the one classification for both of them.

A store may be away, which heals by waiting. It may refuse what Flower needs: a wrong password, a missing
permission, a server of another kind; then nothing but somebody's hand heals it. Or it answers with an error
that is neither, mostly a fault of Flower, which is said as what it is.
"""

import re
from enum import Enum, auto
from typing import NamedTuple

import psycopg
from redis import exceptions as redis_errors
from redis.exceptions import RedisError

from flower_engine.errors import InstallationError
from flower_engine.secrets import hide_secrets

STORE_ERRORS = (psycopg.Error, RedisError, OSError)
"""What talking to a store raises: an error of the store, or of the way to it (timeouts are OSErrors, too)."""

PERMISSIONS = "docs/operations.md, 'What Flower may do in Redis', lists what it needs"


class Kind(Enum):
    """What an error means for whoever waits."""

    AWAY = auto()  # it does not answer, or not now: waiting may heal it
    REFUSED = auto()  # it answers, and no waiting heals what it says
    FAILED = auto()  # it answers with an error that nobody expects


class Fault(NamedTuple):
    """What an error of a store means; ``what``: what is wrong, and what to do, where that is known."""

    kind: Kind
    what: str
    text: str

    def said_of(self, store: str) -> str:
        """A sentence about the store, for people."""
        match self.kind:
            case Kind.AWAY:
                if self.what:
                    return f"{store} takes no writes now: {self.what} ({self.text})"
                return f"{store} does not answer ({self.text})"
            case Kind.REFUSED:
                return f"{store} refuses what Flower needs, which no waiting heals: {self.what} ({self.text})"
            case Kind.FAILED:
                return f"{store} answers with an error ({self.text})"


_OLD = "this server does not know a command that Flower needs: use Redis 7.0 or Valkey 8, or newer"
A_NODE = (
    "FLOWER_REDIS_URL names a node of a cluster: write redis+cluster://HOST:PORT,HOST:PORT, with some of its"
    " nodes (rediss+cluster:// for TLS)"
)
_NO_CLUSTER = "FLOWER_REDIS_URL names a cluster, and this server is no node of one: write redis://HOST:PORT"
_NO_SENTINEL = "FLOWER_REDIS_URL names sentinels, and this server is none"
_REDIS_USER = "the user or password in FLOWER_REDIS_URL is wrong or missing"
_REDIS_MAY_NOT = f"the user of FLOWER_REDIS_URL lacks a permission; {PERMISSIONS}"
_REDIS_TEXTS = (
    (r"ACL failure in script|The user executing the script can't|has no permissions to", _REDIS_MAY_NOT),
    (r"unknown command ['`]SENTINEL", _NO_SENTINEL),
    (r"unknown (redis )?(sub)?command", _OLD),
    (r"without any password configured|no password is set|for 'auth' command", _REDIS_USER),
    (r"invalid username-password pair|WRONGPASS|NOAUTH|Authentication required", _REDIS_USER),
    (r"DB index is out of range|invalid DB index", "it has no database of the number in FLOWER_REDIS_URL"),
    (r"not allowed in cluster mode", A_NODE),
    (r"cluster support disabled", _NO_CLUSTER),
    (r"CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted; see ssl_ca_certs in FLOWER_REDIS_URL"),
    (r"WRONG_VERSION_NUMBER", "it does not speak TLS: FLOWER_REDIS_URL should begin with redis://"),
)  # fmt: skip
_REDIS_CLASSES = (
    (redis_errors.AuthenticationWrongNumberOfArgsError, _REDIS_USER),
    (redis_errors.AuthenticationError, _REDIS_USER),
    (redis_errors.NoPermissionError, _REDIS_MAY_NOT),
    (redis_errors.MovedError, A_NODE),
    (redis_errors.AskError, A_NODE),
    (redis_errors.ClusterCrossSlotError, A_NODE),
    (redis_errors.InvalidResponse, "it is no Redis: FLOWER_REDIS_URL names another kind of server"),
)
# A script passes these on as plain errors.
_REDIS_MAY_PASS = (
    redis_errors.ConnectionError,
    redis_errors.TimeoutError,
    redis_errors.BusyLoadingError,
    redis_errors.ReadOnlyError,
    redis_errors.OutOfMemoryError,
    redis_errors.ClusterDownError,
    redis_errors.MasterDownError,
    redis_errors.TryAgainError,
)
_REDIS_MAY_PASS_TEXT = re.compile(
    r"MISCONF|READONLY|OOM|LOADING|BUSY|MASTERDOWN|NOREPLICAS|max number of clients"
)

_REDIS_WAITS_FOR = (
    (
        r"READONLY|read only replica",
        "it is a replica. Promote it (REPLICAOF NO ONE), or let FLOWER_REDIS_URL name the primary",
    ),
    (r"MISCONF|unable to persist", "it cannot write to its disk; see its log"),
    (r"OOM|used memory > 'maxmemory'", "its memory is full; see its maxmemory"),
    (r"TRYAGAIN", "a slot of its cluster is being moved key by key; see docs/operations.md, 'A cluster'"),
    (r"NOREPLICAS", "too few of its replicas are there; see its min-replicas-to-write"),
)

_POSTGRES_READ_ONLY = (
    "it is a standby, or read-only (default_transaction_read_only). Promote it, set it back, or let"
    " FLOWER_DATABASE_URL name the primary (several hosts with target_session_attrs=read-write find it)"
)
_POSTGRES_USER = "the user or password in FLOWER_DATABASE_URL is wrong or missing"
_POSTGRES_MAY_NOT = "the user of FLOWER_DATABASE_URL lacks a permission, see GRANT"
_POSTGRES_DOOR = "its pg_hba.conf does not let the user of FLOWER_DATABASE_URL in like this"
_POSTGRES_STATEMENTS = (
    "its pooler gives each statement another session, and Flower needs transactions: set pool_mode to"
    " transaction or session"
)
_POSTGRES_NO_DATABASE = "the database in FLOWER_DATABASE_URL does not exist: make it with createdb"
# libpq gives no code for what fails while a connection is made, only the server's words.
_POSTGRES_TEXTS = (
    (r"password authentication failed|no password supplied|authentication failed", _POSTGRES_USER),
    (r"role .* does not exist|is not permitted to log in", _POSTGRES_USER),
    (r"database .* does not exist", _POSTGRES_NO_DATABASE),
    (r"no pg_hba\.conf entry|pg_hba\.conf rejects", _POSTGRES_DOOR),
    (r"permission denied", _POSTGRES_MAY_NOT),
    (r"does not support SSL, but SSL was required", "it has no TLS: see sslmode in FLOWER_DATABASE_URL"),
    (r"certificate verify failed|root certificate file", "its certificate is not trusted: see sslrootcert"),
    (r"invalid [a-z_]+ value", "FLOWER_DATABASE_URL has an option that libpq does not take"),
    (r"invalid response to SSL negotiation|expected authentication request", "it is no Postgres"),
)  # fmt: skip
_POSTGRES_STATES = (
    ("28", _POSTGRES_USER),  # invalid authorization specification
    ("3D", _POSTGRES_NO_DATABASE),
    ("42501", _POSTGRES_MAY_NOT),
)
_REFUSED_VALUES = ("22", "23", "54")  # data exception, integrity constraint violation, program limit exceeded
# A table that was dropped comes back with `flower replay`.
_POSTGRES_MAY_PASS = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    psycopg.errors.UndefinedTable,
)


def fault_of(error: BaseException) -> Fault:
    """What an error of Redis, Postgres, or the way to them means."""
    text = hide_secrets(" ".join(f"{type(error).__name__}: {error}".split()))
    if isinstance(error, psycopg.Error):
        what = _what_postgres_refuses(error)
    elif isinstance(error, RedisError):
        what = _what_redis_refuses(error)
    else:
        what = None
    if what is not None:
        return Fault(Kind.REFUSED, what, text)
    if _may_pass(error):
        return Fault(Kind.AWAY, _what_is_waited_for(error), text)
    return Fault(Kind.FAILED, "", text)


def sentence_of(error: BaseException) -> str:
    """What is wrong with which store, for people."""
    store = "Postgres" if isinstance(error, psycopg.Error) else "Redis"
    return fault_of(error).said_of(store if isinstance(error, psycopg.Error | RedisError) else "a store")


def words_of(error: BaseException) -> str:
    """What a store says, for people; where no waiting heals it, also what to do."""
    fault = fault_of(error)
    return f"{fault.what} ({one_line(error)})" if fault.kind is Kind.REFUSED else one_line(error)


def one_line(error: BaseException) -> str:
    """An error of a library, for people: without the secrets that it may repeat."""
    return hide_secrets(" ".join(str(error).split())) or type(error).__name__


def is_refused(error: BaseException) -> bool:
    """Whether no waiting heals it."""
    return fault_of(error).kind is Kind.REFUSED


def is_refusal(error: BaseException) -> bool:
    """Whether a value is not one that Postgres takes, so that trying again does not help."""
    return isinstance(error, psycopg.Error) and (error.sqlstate or "")[:2] in _REFUSED_VALUES


def is_outage(error: BaseException) -> bool:
    """Whether Postgres is away, restarting, full or in its own way, so that trying again later may help."""
    return isinstance(error, _POSTGRES_MAY_PASS) and not is_refusal(error)


def refuse_unusable(error: Exception, sentence: str = "Postgres cannot be used as it is") -> None:
    """Returns if waiting, or somebody's hand at the store, may heal the error.

    Raises:
        InstallationError: it is of Postgres, and says that the tables are not what Flower takes them for.
    """
    if isinstance(error, psycopg.Error) and not (is_outage(error) or is_refused(error)):
        raise InstallationError(f"{sentence}: {error}") from error


def _what_is_waited_for(error: BaseException) -> str:
    """What keeps a store that answers from taking writes; "": it does not answer."""
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return _POSTGRES_READ_ONLY
    return (_first_match(_REDIS_WAITS_FOR, str(error)) or "") if isinstance(error, RedisError) else ""


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, psycopg.Error):
        return is_outage(error)
    if isinstance(error, RedisError):
        return isinstance(error, _REDIS_MAY_PASS) or _REDIS_MAY_PASS_TEXT.search(str(error)) is not None
    return isinstance(error, OSError)


def _what_redis_refuses(error: RedisError) -> str | None:
    # What fails while a connection is made comes as a ConnectionError; what it was is its cause.
    for one in (error, error.__cause__):
        for kind, what in _REDIS_CLASSES:
            if isinstance(one, kind):
                return what
    return _first_match(_REDIS_TEXTS, str(error))


def _what_postgres_refuses(error: psycopg.Error) -> str | None:
    for state, what in _POSTGRES_STATES:
        if (error.sqlstate or "").startswith(state):
            return what
    if isinstance(error, psycopg.errors.ProtocolViolation) and "statement pooling mode" in str(error):
        return _POSTGRES_STATEMENTS
    if error.sqlstate is not None or not isinstance(error, psycopg.OperationalError):
        return None
    if error.pgconn is not None and error.pgconn.needs_password:
        return _POSTGRES_USER  # whatever language the server speaks
    return _first_match(_POSTGRES_TEXTS, str(error))


def _first_match(texts: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((what for pattern, what in texts if re.search(pattern, text, re.IGNORECASE)), None)
