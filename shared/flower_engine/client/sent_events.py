"""Server-sent events, as they come line by line."""

from typing import NamedTuple


class SentEvent(NamedTuple):
    """An event; ``mark`` is what the API wants as ``Last-Event-ID`` to go on behind it."""

    kind: str
    data: str
    mark: str


class SentEvents:
    """Makes events of lines. A comment is none."""

    def __init__(self, mark: str = "") -> None:
        self.mark = mark
        self._kind = self._data = ""

    def take(self, line: str) -> SentEvent | None:
        """The next line; the event that it ends, if any."""
        if not line:
            kind, data = self._kind, self._data
            self._kind = self._data = ""
            return SentEvent(kind, data, self.mark) if kind else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self.mark = value
        elif name == "event":
            self._kind = value
        elif name == "data":
            self._data += value
        return None
