"""What a supervisor tells the services that it starts: it has done once what each would do at its start."""

import os

SUPERVISED = "_FLOWER_SUPERVISED"
"""Set in the environment of supervised services."""


def is_supervised() -> bool:
    """Whether a supervisor started this process."""
    return SUPERVISED in os.environ
