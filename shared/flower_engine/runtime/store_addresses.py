"""Whether the address of a store can be used, as its own library reads it; without any connection."""

import re
from urllib.parse import urlsplit

from flower_engine.secrets import hide_secrets, learn_address

_REDIS = ("redis://", "rediss://", "unix://")
_SEVERAL = tuple(f"{scheme}+{kind}://" for scheme in ("redis", "rediss") for kind in ("cluster", "sentinel"))
_POSTGRES = ("postgresql://", "postgres://")
_OURS = ("decode_responses", "encoding", "protocol", "single_connection_client")  # how replies are read


def check_redis_url(url: str) -> None:
    """Raises ValueError: no client can be made of it; says why, without its password."""
    learn_address(url)
    if url.startswith(_SEVERAL):
        _try_redis(url)
        return
    if not url.startswith(_REDIS):
        raise ValueError(
            "should begin with redis://, rediss:// or unix://, or with redis+cluster:// or redis+sentinel://"
            " (rediss+... for TLS)"
        )
    if "," in re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].rpartition("@")[2]:
        raise ValueError(
            "names several servers: nodes of a cluster are written redis+cluster://host:port,host:port, and"
            " sentinels redis+sentinel://host:port,host:port/NAME/0"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(
            "cannot be read: behind the host stands at most a port, a number from 1 to 65535 (an IPv6 address"
            " is written [::1], a / or # in a password %2F, %23)"
        ) from None
    if port == 0:
        raise ValueError("port 0 is none that a server listens on")
    if parts.fragment or url.endswith("#"):
        raise ValueError("has a #: in a password it is written %23")
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise ValueError("should name the path of a socket: unix:///run/redis.sock")
    elif not re.fullmatch(r"/?\d*", parts.path, re.ASCII):
        raise ValueError(
            "should end with the number of a database, as in redis://host:6379/0 (a / in a password is"
            " written %2F)"
        )
    _try_redis(url)


def check_database_url(url: str) -> None:
    """Raises ValueError: libpq cannot read it; says why, without its password."""
    learn_address(url)
    if not url.startswith(_POSTGRES):
        raise ValueError("should begin with postgresql://")
    if re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0].count("@") > 1:
        raise ValueError("has more than one @ before its host: in a user or password it is written %40")
    import psycopg  # noqa: PLC0415 # where no address is given, nobody waits for it
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        words = conninfo_to_dict(url)
    except (psycopg.Error, UnicodeError, ValueError) as error:
        raise ValueError(
            f"cannot be read ({_words(error)}); signs other than letters and digits in a user or password are"
            " percent-encoded: @ is %40, / is %2F, % is %25"
        ) from None
    for name, lowest, highest in (("port", 1, 65_535), ("connect_timeout", 0, 86_400)):
        for word in str(words.get(name) or "").split(","):
            if word and not (word.isdecimal() and lowest <= int(word) <= highest):
                raise ValueError(
                    f"its {name} should be a number from {lowest} to {highest} (a / in a password is %2F)"
                )


def _try_redis(url: str) -> None:
    from redis.exceptions import RedisError  # noqa: PLC0415 # as above

    from flower_engine.log.client import check_url  # noqa: PLC0415

    options = dict(re.findall(r"[?&]([^=&]+)=([^&]*)", url))
    for name in _OURS:
        if name in options:
            raise ValueError(f"sets {name}, which is Flower's to set")
    try:
        check_url(url)
    except ValueError as error:
        raise ValueError(
            _words(error) if url.startswith(_SEVERAL) else f"cannot be used ({_words(error)})"
        ) from None
    except (TypeError, AttributeError, RedisError) as error:
        raise ValueError(f"cannot be used ({_words(error)})") from None


def _words(error: Exception) -> str:
    return hide_secrets(" ".join(str(error).split()))
