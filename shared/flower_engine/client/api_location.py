"""Where the API is, for whoever is told nothing, and how names stand in its paths."""

import os
from pathlib import Path
from urllib.parse import quote

from flower_engine.errors import FlowerError

DEFAULT_URL = "http://127.0.0.1:8000"
_DEFAULT_HOME = ".flower"


def api_url() -> str:
    """``FLOWER_URL``, or that of a ``flower up`` on this data folder (``FLOWER_HOME``), or the usual one."""
    return os.environ.get("FLOWER_URL") or _announced() or DEFAULT_URL


def path_part(name: str) -> str:
    """A name as a part of a path; one of dots alone would be taken for a way through folders."""
    return quote(name, safe="").replace(".", "%2E") if name.strip(".") == "" else quote(name, safe="")


def _announced() -> str | None:
    from flower_engine.embedded.home import Home  # noqa: PLC0415 # only where no URL is given

    try:
        running = Home(Path(os.environ.get("FLOWER_HOME") or _DEFAULT_HOME)).announced()
    except FlowerError:
        return None
    return running.api_url if running else None
