"""Settings that are secrets may stand in files, as Kubernetes and Docker mount them.

``FLOWER_TOKEN_FILE`` names the file that holds what ``FLOWER_TOKEN`` would: one rule for all of them, for
services, commands and clients.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from flower_engine.errors import SettingsError
from flower_engine.secrets import learn_secrets

SECRET_SETTINGS = (
    *("redis_url", "database_url", "database_direct_url", "database_read_url"),
    *("token", "api_tokens", "link_secret", "traces_headers"),
)
"""Fields of ``Settings``."""

_BY_LINES = ("api_tokens", "traces_headers")  # separated by commas; a file may have one a line, too
_MOST_BYTES = 64 * 1024


def file_variable(field: str) -> str:
    """The variable that names the file of a secret setting."""
    return f"FLOWER_{field.upper()}_FILE"


FILE_VARIABLES = tuple(map(file_variable, SECRET_SETTINGS))


def secret_text(field: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """A secret setting, from its variable or from the file that the other variable names; None: it is not
    set. Line ends and blanks around what the file holds do not count.

    Raises:
        SettingsError: both are set, or the file cannot be read or holds nothing; shows nothing of it.
    """
    name, of_file = f"FLOWER_{field.upper()}", file_variable(field)
    given, path = environment.get(name), environment.get(of_file)
    if not path:
        return given or None
    if given:
        raise SettingsError(f"{name} and {of_file} are both set: set one of them")
    try:
        with Path(path).expanduser().open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        text = content.decode().strip()
    except OSError as error:
        raise SettingsError(f"{of_file}: {path} cannot be read: {error.strerror}") from None
    except ValueError:  # no UTF-8, or a path that is none
        raise SettingsError(f"{of_file}: {path!r} is no file of UTF-8") from None
    if len(content) > _MOST_BYTES:
        raise SettingsError(f"{of_file}: {path} is longer than {_MOST_BYTES} bytes")
    if not text or "\0" in text:
        raise SettingsError(f"{of_file}: {path} {'holds a zero byte' if text else 'is empty'}")
    if field in _BY_LINES:
        text = ",".join(line.strip().rstrip(",") for line in text.splitlines() if line.strip())
    return text


def own_token() -> str | None:
    """The token that this process sends to the API.

    Raises:
        SettingsError: its file cannot be read.
    """
    token = secret_text("token")
    learn_secrets([token])
    return token
