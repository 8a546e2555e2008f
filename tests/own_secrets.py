"""What one test gives as a password or token is no secret in the texts of the next one."""

from collections.abc import Generator
from contextlib import contextmanager

from flower_engine import secrets


@contextmanager
def own_secrets() -> Generator[None]:
    """What becomes a secret in here ("any", "wrong") is none behind it."""
    known = secrets._known  # pyright: ignore[reportPrivateUsage]
    values, pattern = known._values, known.pattern  # pyright: ignore[reportPrivateUsage]
    yield
    known._values, known.pattern = values, pattern  # pyright: ignore[reportPrivateUsage]
