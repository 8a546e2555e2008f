"""How far a client has seen, kept from answer to question, so that no answer is older than one before it."""

import hashlib
import os
import threading
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path

from flower_engine.model.values.seen_position import HEADER, SeenPosition


class KeptPosition:
    """What the answers of an API said; any number of threads may share it. An API that has no replica says
    nothing, and is told nothing."""

    def __init__(self, seen: SeenPosition | None = None) -> None:
        self._seen = seen
        self._lock = threading.Lock()

    @property
    def text(self) -> str:
        """As it is sent; "": nothing was said."""
        return "" if self._seen is None else self._seen.text

    def ask(self, headers: MutableMapping[str, str]) -> SeenPosition:
        """Adds it to the headers of a question; returns what was added."""
        seen = self._seen
        if seen is not None:
            headers[HEADER] = seen.text
        return seen or SeenPosition()

    def take(self, sent: SeenPosition, headers: Mapping[str, str]) -> None:
        """What the answer says to a question that brought ``sent`` along."""
        text = headers.get(HEADER)
        answered = SeenPosition.read(text) if text else None
        if answered is not None:
            with self._lock:
                self._seen = (self._seen or SeenPosition()).after(sent, answered)


class FiledPosition(KeptPosition):
    """The same from one command to the next, in a file of the user's cache; without one where there is none
    to be had."""

    def __init__(self, url: str) -> None:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        name = hashlib.sha256(url.encode()).hexdigest()[:16]
        self._path = Path(cache).expanduser() / "flower" / f"seen-{name}"
        text = ""
        with suppress(OSError, ValueError, RuntimeError):
            text = self._path.read_text()
        self._filed = text
        super().__init__(SeenPosition.read(text.strip()) if text else None)

    def keep(self) -> None:
        """Writes it down, where it is not what the file has."""
        text = self.text
        if text in ("", self._filed):
            return
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            new.write_text(text)
            new.replace(self._path)
            self._filed = text
