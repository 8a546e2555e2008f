"""Hides the secrets of an attempt in its lines."""

from collections.abc import Iterable

from flower_engine.secrets import HIDDEN
from flower_worker.secret_spellings import spellings

_LEAST_CHARACTERS = 6  # as in ``secret_values``; of a secret of several lines, each line counts


class LineMask:
    """Stars for each secret, also for the lines of one that has several: lines are looked at one by one."""

    def __init__(self, values: Iterable[str]) -> None:
        parts = {part for value in values for part in (value, *value.splitlines())}
        self._forms = spellings(part for part in parts if len(part) >= _LEAST_CHARACTERS)
        self.longest = max(map(len, self._forms), default=0)

    def hide(self, text: str) -> str:
        """The text with stars for each secret."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text
