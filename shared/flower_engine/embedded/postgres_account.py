"""The system user that the embedded Postgres runs as: Postgres refuses to run as root.

Started by anyone else, it runs as that user. Started by root, it runs as the owner of its data, which is
``nobody`` when they are new. It may then still enter folders that only root may (a clone in a folder made by
``mktemp -d``, say), by the capability DAC_OVERRIDE. So that no other process of ``nobody`` gains by that, the
folders around the data and the socket are then closed to everyone but root. Where the capability is withheld
(some containers), the folders on the way must be open to that user.
"""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from flower_engine.embedded.processes import Account
from flower_engine.errors import StoreError

_NOBODY = 65534
_CAP_DAC_OVERRIDE = 1
_CAP_SETPCAP = 8  # needed to hand the other one on


def postgres_account(data: Path) -> Account | None:
    """Who runs Postgres on this data folder; None: whoever runs this process."""
    if os.geteuid() != 0:
        return None
    found = data.stat() if data.exists() else None
    uid, gid = (found.st_uid, found.st_gid) if found and found.st_uid != 0 else (_NOBODY, _NOBODY)
    return Account(uid, gid, keeps_access=may_keep_access())


def may_keep_access() -> bool:
    """Whether this process may hand the capability on."""
    if sys.platform != "linux":
        return False
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    needed = 1 << _CAP_DAC_OVERRIDE | 1 << _CAP_SETPCAP
    return all(int(fields[name], 16) & needed == needed for name in ("CapPrm", "CapBnd"))


def give(folder: Path, account: Account) -> None:
    """Make a folder that this process made the account's own."""
    os.chown(folder, account.uid, account.gid)


def set_the_way(home: Path, account: Account) -> None:
    """Close the folders around data and socket to all but root, or open them where the account needs that."""
    inner = (home / "run", home / "postgres")
    if account.keeps_access:
        for folder in inner:
            folder.chmod(0o700)
    else:
        for folder in (home, *inner):
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o011)


def check_the_way(target: Path, account: Account) -> None:
    """Check that the account may reach a path.

    Raises:
        StoreError: names the first folder on the way that is closed to it, and what to do.
    """
    if account.keeps_access:
        return
    for folder in _from_the_root(target):
        if not _may_pass(folder.stat(), account):
            raise StoreError(
                f"Postgres cannot run as root, and user {account.uid}, which it would run as, may not enter "
                f"{folder}: open it (chmod o+x {folder}), put the data folder and the installation "
                "elsewhere, run as another user than root, or set FLOWER_DATABASE_URL to a Postgres of yours"
            )


def _from_the_root(target: Path) -> Iterator[Path]:
    resolved = target.resolve()
    return (one for one in (*reversed(resolved.parents), resolved) if one.is_dir())


def _may_pass(found: os.stat_result, account: Account) -> bool:
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)
