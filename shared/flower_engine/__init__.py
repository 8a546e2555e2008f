"""Flower: a workflow engine for people who write Python. These are the names a program author needs."""

from flower_engine.errors import FlowerError, ParameterError, ProgramError
from flower_engine.programs.context import Context, Progress
from flower_engine.programs.outcomes import Fatal, Retry
from flower_engine.programs.registry import program

__all__ = [
    "Context",
    "Fatal",
    "FlowerError",
    "ParameterError",
    "ProgramError",
    "Progress",
    "Retry",
    "program",
]

for _public in (Context, Fatal, FlowerError, ParameterError, ProgramError, Progress, Retry, program):
    _public.__module__ = __name__  # as people import it, so that tracebacks and error types say that name
del _public
