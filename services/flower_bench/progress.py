"""What the suite is doing: one changing line on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

_LINE_SECONDS = 10.0
_TURNS_PER_SECOND = 2.0  # more would be measured along


class Progress:
    """Call it with what is going on; the first words up to a colon say which workload it is."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("starting", refresh_per_second=_TURNS_PER_SECOND)
        self._head = ""
        self._line_at = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def __call__(self, text: str) -> None:
        head, now = text.partition(":")[0], time.monotonic()
        if self._console.is_terminal:
            self._status.update(Text(text))
        elif head != self._head or now >= self._line_at:
            self._head, self._line_at = head, now + _LINE_SECONDS
            self._console.print(text, markup=False)
