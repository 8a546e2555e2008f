"""Which service of Flower a process is, by its command line."""

from itertools import pairwise

import psutil

SERVICES = ("api", "worker", "projector", "watcher")


def service_of(process: psutil.Process) -> str | None:
    """``api``, ``worker``, ``projector`` or ``watcher``; None: another process, or one that has ended."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return None
    for command, service in pairwise(words):
        is_flower = command == "flower_cli" or command.rpartition("/")[2] == "flower"
        if is_flower and service in SERVICES:
            return service
    return None
