"""A program that fails, for the tests of metrics."""

from flower_engine import program


@program
async def fails() -> None:
    raise ValueError("as it is meant to")
