"""Where what no test wants back from a disk is kept."""

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # of Linux
_ENOUGH_BYTES = 4 << 30


def memory_folder() -> Path | None:
    """A folder for throwaway data that is in memory; None where there is none, or too little room.

    Postgres makes a file for each table and index of a database, and again when it empties them: on a disk
    that costs four times the system time, fsync or not. What tests write may have to be run, too.
    """
    if not os.access(_MEMORY, os.W_OK | os.X_OK) or shutil.disk_usage(_MEMORY).free < _ENOUGH_BYTES:
        return None
    return None if os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC else _MEMORY


def keep_files_in_memory() -> None:
    """From now on temporary files of this process, and of those that it starts, are there, if their place was
    not chosen."""
    folder = memory_folder()
    if folder is not None and "TMPDIR" not in os.environ:
        os.environ["TMPDIR"] = str(folder)
        tempfile.tempdir = None  # it is looked for anew
