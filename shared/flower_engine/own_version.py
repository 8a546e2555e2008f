"""Which version of Flower this is, and what to do where a newer one was here before."""

from functools import cache

UPGRADE_OR_GO_BACK = (
    "Upgrade this service; to go back, both stores have to be what they were before the upgrade"
    " (docs/operations.md)"
)
"""What to do where a newer version has written what this one does not know."""


@cache
def own_version() -> str:
    """Its name and number, for people."""
    from importlib.metadata import version  # noqa: PLC0415 # asked for once, and not by every command

    return f"Flower {version('flower-engine')}"
