"""Programs that fail or log, for the tests of metrics and of what services log."""

import logging
import warnings

from flower_engine import program


@program
async def fails() -> None:
    raise ValueError("as it is meant to")


@program
async def logs() -> None:
    logging.getLogger("people").warning("odd\nin two lines")


@program(kind="process")
def logs_in_process() -> None:
    logging.getLogger("people").warning("odd in a process")
    warnings.warn("this is old", DeprecationWarning, stacklevel=1)
