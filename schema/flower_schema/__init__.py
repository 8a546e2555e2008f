"""Flower's tables in Postgres: numbered SQL migrations, applied in name order, and the seed's example rows.

This package only carries the SQL; ``flower_engine.projection.maintain.migrations`` applies it. A
migration that was released is never changed: what comes later is a new file.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["Migration", "example_rows", "migrations"]


@dataclass(frozen=True)
class Migration:
    """One step of the schema: ``name`` is its file's name without ``.sql``."""

    name: str
    sql: bytes
    sha256: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Every migration, in the order in which they are applied."""
    folder = files(__name__) / "migrations"
    found = sorted(
        (file.name.removesuffix(".sql"), file.read_bytes())
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    )
    return tuple(Migration(name, sql, hashlib.sha256(sql).hexdigest()) for name, sql in found)


def example_rows() -> bytes:
    """SQL that defines the seed's workflow ``example``; where it is defined already, it stays as it is."""
    return (files(__name__) / "example.sql").read_bytes()
