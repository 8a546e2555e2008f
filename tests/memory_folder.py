"""Where what no test wants back from a disk is kept."""

import os
import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")  # of Linux
_ENOUGH_BYTES = 4 << 30


def memory_folder() -> Path | None:
    """A folder for throwaway data that is in memory; None where there is none, or too little room.

    Postgres makes a file for each table and index of a database, and again when it empties them: on a disk
    that costs four times the system time, fsync or not.
    """
    if not os.access(_MEMORY, os.W_OK | os.X_OK) or shutil.disk_usage(_MEMORY).free < _ENOUGH_BYTES:
        return None
    return _MEMORY
