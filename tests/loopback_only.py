"""Runs a command where there is no network but loopback, and counts what wanted to go elsewhere.

``python -m loopback_only COUNTS COMMAND...``: the command and all its children run in a network namespace
of their own. The kernel has no route from there to any other machine, and counts each connection and each
datagram that asks for one, of whatever process and library: one to a name server, too. Ends with the exit
code of the command; the file COUNTS says how many there were.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

_NEW_USERS, _NEW_NETWORK = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET
_SET_FLAGS, _UP = 0x8914, 0x1  # SIOCSIFFLAGS, IFF_UP


class CannotIsolateError(Exception):
    """The system gives nobody a network of his own here."""


def isolate() -> None:
    """This process and its children have loopback and nothing else from here on.

    Raises:
        CannotIsolateError: the kernel refuses it, or is not Linux.
    """
    user, group = os.getuid(), os.getgid()
    flags = _NEW_NETWORK | (_NEW_USERS if user else 0)
    if not sys.platform.startswith("linux") or ctypes.CDLL(None, use_errno=True).unshare(flags):
        raise CannotIsolateError(os.strerror(ctypes.get_errno()))
    try:
        if user:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
            Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
    except OSError as error:
        raise CannotIsolateError(str(error)) from None


def wanted_elsewhere() -> int:
    """How often somebody in this network has asked for a way to another machine."""
    lines = Path("/proc/self/net/snmp").read_text().splitlines()
    names, counts = (line.split() for line in lines if line.startswith("Ip:"))
    six = dict(line.split() for line in Path("/proc/self/net/snmp6").read_text().splitlines())
    return int(dict(zip(names, counts, strict=True))["OutNoRoutes"]) + int(six["Ip6OutNoRoutes"])


if __name__ == "__main__":
    isolate()
    done = subprocess.run(sys.argv[2:], check=False)
    Path(sys.argv[1]).write_text(str(wanted_elsewhere()))
    sys.exit(done.returncode)
