"""What commands do to the stores themselves, past the API, is in the audit like all else that people do."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flower_engine.projection.database import Connection


async def note_command(
    connection: "Connection", act: str, *, name: str | None = None, **details: Any
) -> None:
    """Notes that somebody at a shell did this; tables that are older than the audit are left as they are."""
    from psycopg.errors import UndefinedTable

    from flower_engine.projection.definitions.acting import note_act

    try:
        async with connection.transaction():
            await note_act(connection, at_the_shell(), act, name=name, details=details or None)
    except UndefinedTable:
        pass


async def note_command_at(database_url: str, act: str, **details: Any) -> None:
    """The same on a connection of its own."""
    from flower_engine.projection.database import connect

    async with await connect(database_url, "audit") as connection:
        await note_command(connection, act, **details)


def at_the_shell() -> str:
    """Who works at this shell, as the audit names them."""
    import getpass

    try:
        return f"shell:{getpass.getuser()}"
    except (KeyError, OSError):  # a process of no user that this system knows
        return "shell:?"
