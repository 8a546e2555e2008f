"""What OTLP needs is an extra, ``flower-engine[otel]``: others neither install nor import it."""

from collections.abc import Generator
from contextlib import contextmanager

from flower_engine.errors import SettingsError


@contextmanager
def needs_otel() -> Generator[None]:
    """Around imports of what is not there without the extra.

    Raises:
        SettingsError: something is missing; says what to do.
    """
    try:
        yield
    except ImportError as error:
        raise SettingsError(
            f"traces cannot be exported as FLOWER_TRACES_ENDPOINT and FLOWER_TRACES_PROTOCOL say: {error};"
            " pip install 'flower-engine[otel]'"
        ) from error
