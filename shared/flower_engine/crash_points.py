"""Named points at which a test kills the process it is in, as ``kill -9`` would.

``FLOWER_CRASH_AT=<name>`` (or ``<name>:<n>``, for the n-th time it is passed) chooses one; nobody else sets
it. The points stand where a crash is nastiest: between a write and its acknowledgement, before and after.
"""

import os
import signal

VARIABLE = "FLOWER_CRASH_AT"
_name, _, _times = os.environ.get(VARIABLE, "").partition(":")
_left = int(_times or 1)


def crash_point(name: str) -> None:
    """Kills the process here, if this is the point that was chosen."""
    global _left  # noqa: PLW0603 # there is one process, and one point of it
    if name == _name:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
