"""How much of a disk is left, where the folder of a store can be seen from here."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from flower_engine.doctor.findings import Finding, ok, problem, warning
from flower_engine.doctor.subject import Bounds
from flower_engine.log.server_addresses import parse_addresses

_MB = 1 << 20
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def is_here(url: str) -> bool:
    """Whether an address of Redis is of this machine, by its own words."""
    parts = urlsplit(parse_addresses(url).url)
    return parts.scheme == "unix" or parts.hostname in LOOPBACK


def space_left(
    check: str, folder: str, bounds: Bounds, advice: str, *, marks: Sequence[str] = ()
) -> Finding | None:
    """None: the folder is not on this machine, or cannot be seen; one of ``marks`` is in it if it is (a
    folder of that name may be another one, where the server runs in a container)."""
    try:
        if not any((Path(folder) / mark).exists() for mark in marks or [""]):
            return None
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    part, left_mb = usage.free / max(1, usage.total), usage.free // _MB
    detail = f"{left_mb:,} MB of {usage.total // _MB:,} MB are left on the disk of {folder}"
    if part < bounds.disk_left[1] or left_mb < bounds.disk_left_mb[1]:
        return problem(check, detail, advice)
    if part < bounds.disk_left[0] and left_mb < bounds.disk_left_mb[0]:
        return warning(check, detail, advice)
    return ok(check, detail)
