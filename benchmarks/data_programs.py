"""Programs that make results and hand them on; for ``benchmarks/data.py``."""

from flower_engine import program


@program("Make")
async def make(size: int) -> str:
    """A result of so many bytes of JSON, give or take its quotes."""
    return "x" * size


@program("HandOn")
async def hand_on(value: str) -> str:
    """The result of another task as its own."""
    return value


@program("Count")
async def count(values: list[str]) -> int:
    """How many there are."""
    return len(values)
