"""What processes on this machine run."""

import psutil


def name_of(process: psutil.Process) -> str:
    """Its name; "" of one that has ended and that somebody has noticed."""
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def command_of(process: psutil.Process) -> list[str]:
    """Its command line; [] of one that has ended, whether somebody has noticed or not."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie, too
        return []
