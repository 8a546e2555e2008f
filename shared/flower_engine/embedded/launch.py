"""Becomes a command whose life is tied to its parent's, and gives up root first if asked.

Run as a script, by path, with nothing but the standard library (``processes.spawn`` does it):

    python -I -S launch.py <parent pid> <signal> <uid> <gid> <keep access: 0 or 1> <command...>

A uid of -1 changes no user. The signal is what the command gets when its parent dies (Linux only: elsewhere
the next start finds and stops what was left over). The order matters: the kernel forgets that signal when
the user changes, and forgets capabilities unless they are asked to be kept.
"""

import ctypes
import os
import struct
import sys

_PR_SET_PDEATHSIG = 1
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    parent, death_signal, uid, gid, keep_access = (int(word) for word in arguments[:5])
    command = arguments[5:]
    if uid >= 0:
        _become(uid, gid, keep_access=bool(keep_access))
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # it died before the line above
            sys.exit(1)
    os.execv(command[0], command)


def _become(uid: int, gid: int, *, keep_access: bool) -> None:
    """Change to a user without rights, except, when asked, the one to pass through root's closed folders."""
    if keep_access:
        # The change of user takes no capability away, and access(2), by which Postgres looks for its own
        # programs, does not leave them out either.
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if keep_access:
        _hold_only(_CAP_DAC_OVERRIDE)
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE)


def _hold_only(capability: int) -> None:
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    sets = struct.pack("=6I", mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable; low, then high
    if ctypes.CDLL(None, use_errno=True).capset(header, sets) != 0:
        _raise_errno("capset")


def _prctl(option: int, *values: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if ctypes.CDLL(None, use_errno=True).prctl(option, *padded) != 0:
        _raise_errno(f"prctl({option})")


def _raise_errno(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"cannot start {sys.argv[6]}: {error}")
