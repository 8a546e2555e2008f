"""The source of a file as it stands now: a module may be written anew, and imported again in one process."""

import linecache
from pathlib import Path

State = tuple[int, int] | None


def state_of(file: str) -> State:
    """What changes when the file does; None: it is no file (of a notebook, an archive, a session)."""
    try:
        found = Path(file).stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def source_of(file: str) -> str:
    """Its text; "" where there is none."""
    linecache.checkcache(file)
    return "".join(linecache.getlines(file))
