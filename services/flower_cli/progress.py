"""Progress of long work: bars on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_LINE_SECONDS = 5.0


class Bars:
    """A bar for each kind of thing that is done; hand ``tell`` to whoever does it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bars: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._line_at = time.monotonic() + _LINE_SECONDS

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def tell(self, what: str, done: int, total: int) -> None:
        """So many of ``total`` (0: nobody knows) are done."""
        now = time.monotonic()
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(what, total=total or None, rate="")
            self._began[what] = now
        seconds = now - self._began[what]
        rate = f"{done / seconds:,.0f}/s" if seconds > 1 else ""
        self._progress.update(self._bars[what], completed=done, total=total or None, rate=rate)
        if not self._console.is_terminal and (now >= self._line_at or (done == total and total)):
            self._line_at = now + _LINE_SECONDS
            self._console.print(
                f"{what}: {done:,} of {total:,} {rate}".rstrip(), markup=False, highlight=False
            )
