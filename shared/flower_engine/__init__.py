"""Flower: a workflow engine for people who write Python. These are the names a program author needs."""

from flower_engine.errors import FlowerError, ParameterError, ProgramError
from flower_engine.programs.context import Context
from flower_engine.programs.registry import program

__all__ = ["Context", "FlowerError", "ParameterError", "ProgramError", "program"]
