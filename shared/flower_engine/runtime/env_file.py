"""The ``.env`` of the working folder: variables of Flower for those who do not want to export them.

Variables that are set already win, empty ones too. Only those that begin with ``FLOWER_`` are taken: what a
file says that came with somebody else's folder should not reach any further. And because they can name
modules to import, and servers to trust, a file that others can write, or that lies where others can put
one, is left alone.
"""

import io
import os
import stat
from collections.abc import MutableMapping
from pathlib import Path

from flower_engine.errors import SettingsError
from flower_engine.runtime.file_trust import who_else_may_write

NAME = ".env"
_PREFIX = "FLOWER_"
_MOST_BYTES = 1 << 20

_said: list[str] = []


def load(folder: Path, environment: MutableMapping[str, str]) -> None:
    """Adds the file's variables to the environment; :func:`said` tells what came of it.

    Raises:
        SettingsError: the file is there and cannot be read.
    """
    _said.clear()
    path = folder / NAME
    try:
        text, others = _read(path)
    except FileNotFoundError:
        return
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise SettingsError(f"{path} cannot be read: {reason}") from None
    if others:
        _said.append(f"{path} is ignored: {others}. Make it yours alone: chmod go-w {folder} {path}")
        return
    from dotenv import dotenv_values  # noqa: PLC0415 # most folders have no such file

    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    given = {name: value for name, value in values.items() if name.startswith(_PREFIX) and value is not None}
    if broken := [name for name, value in given.items() if "\0" in value]:
        raise SettingsError(f"{path}: {', '.join(broken)} holds a zero byte")
    taken = [name for name in given if name not in environment]
    environment.update({name: given[name] for name in taken})
    if taken:
        _said.append(f"read from {path}: {', '.join(taken)}")
    if passed := [name for name in given if name not in taken]:
        _said.append(f"set already, so not taken from {path}: {', '.join(passed)}")


def said() -> list[str]:
    """A sentence for each thing to tell people about the file; none: there is none here."""
    return list(_said)


def _read(path: Path) -> tuple[str, str | None]:
    """What is in the file, and why it must not be used (None: it may)."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not hold us up
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            return "", "it is no file"
        for what, status in (("folder", path.parent.stat()), ("file", found)):
            if who := who_else_may_write(status):
                return "", f"{who} can write the {what}"
        if found.st_size > _MOST_BYTES:
            return "", f"it is larger than {_MOST_BYTES} bytes"
        return file.read(_MOST_BYTES).decode(), None
