"""What processes on this machine run."""

import psutil


def command_of(process: psutil.Process) -> list[str]:
    """Its command line; [] of one that has ended, whether somebody has noticed or not."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie, too
        return []
