"""Lines of an answer that comes in pieces. Only a newline ends one: JSON holds the others (U+2028, U+0085) as
they are, and httpx would cut it there."""

from collections.abc import Iterator


class TextLines:
    """Makes whole lines of pieces."""

    def __init__(self) -> None:
        self._begun = b""

    def take(self, piece: bytes) -> Iterator[str]:
        """The lines that this piece ends, without their ends."""
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield (self._begun + line).decode(errors="replace").removesuffix("\r")
            self._begun = b""
        self._begun += rest

    def rest(self) -> Iterator[str]:
        """The last line, where nothing ended it."""
        if self._begun:
            yield self._begun.decode(errors="replace")
