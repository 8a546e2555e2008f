"""The name of a process, by which people find it."""

import os
import re
import secrets
import socket

_UNFIT = re.compile(r"[^A-Za-z0-9._-]")
_HOST_CHARACTERS = 64


def process_name() -> str:
    """``<host>-<pid>-<random>`` of ``[A-Za-z0-9._-]`` only; another one each time."""
    fit_host = _UNFIT.sub("_", socket.gethostname())[:_HOST_CHARACTERS] or "host"
    return f"{fit_host}-{os.getpid()}-{secrets.token_hex(4)}"
