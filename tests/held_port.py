"""A port of this machine that nobody else is given by chance."""

import socket
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def held_port() -> Generator[int]:
    """One that was free. Whoever asks for any port gets another one; a server that is told this one may
    listen there, again and again, as servers say that an address may be used again (SO_REUSEADDR).

    A port that is only looked for is free until its server listens, and whenever that is killed: of a hundred
    thousand sockets five got it.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
