"""What is logged (``logging``) and warned of (``warnings``) while a program runs, as lines of its attempt."""

import logging
import warnings
from collections.abc import Callable
from typing import Any, TextIO

from flower_worker.task_logs.own_log import OWN, OwnLog

Take = Callable[[logging.LogRecord, str], None]
"""Takes a record and its text, with the traceback if it has one."""

_WARNINGS = "py.warnings"  # as in ``logging.captureWarnings``


class ProgramLogging:
    """Takes what is logged while it is installed, beside the handlers that there are."""

    def __init__(self, take: Take, is_at_work: Callable[[], bool]) -> None:
        """``is_at_work`` says whether what runs here is a program: else nothing is taken."""
        self._handler = _Handler(take, is_at_work)
        self._is_at_work = is_at_work
        self._factory = logging.getLogRecordFactory()
        self._show = warnings.showwarning
        self._own: OwnLog | None = None

    def install(self) -> None:
        self._own = OwnLog()
        self._factory = logging.getLogRecordFactory()
        self._show = warnings.showwarning
        logging.getLogger().addHandler(self._handler)
        logging.setLogRecordFactory(self._make)
        warnings.showwarning = self._warn

    def uninstall(self) -> None:
        """What others have put in the place of it meanwhile stays."""
        if self._own is not None:
            self._own.forget()
            self._own = None
        logging.getLogger().removeHandler(self._handler)
        if logging.getLogRecordFactory() == self._make:
            logging.setLogRecordFactory(self._factory)
        if warnings.showwarning == self._warn:
            warnings.showwarning = self._show

    def put_back(self, *, is_alone: bool) -> None:
        """Undoes what a program did to the log of this process itself; ``is_alone``: no other one runs."""
        if self._own is not None:
            self._own.put_back(is_alone=is_alone)

    def _make(self, *given: Any, **named: Any) -> logging.LogRecord:
        # A program that sets logging up anew (dictConfig, basicConfig with force) takes all handlers away.
        if self._is_at_work():
            root = logging.getLogger()
            if self._handler not in root.handlers:
                root.addHandler(self._handler)
        return self._factory(*given, **named)

    def _warn(  # noqa: PLR0917 # the signature is that of ``warnings.showwarning``
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if file is not None or not self._is_at_work():
            self._show(message, category, filename, lineno, file, line)
            return
        text = warnings.formatwarning(message, category, filename, lineno, line)
        logging.getLogger(_WARNINGS).warning("%s", text.rstrip("\n"))


class _Handler(logging.Handler):
    def __init__(self, take: Take, is_at_work: Callable[[], bool]) -> None:
        super().__init__()
        self._take = take
        self._is_at_work = is_at_work
        self._text = logging.Formatter().format

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the lock of a handler: what takes lines has one of its own."""
        if self._is_at_work() and record.name.partition(".")[0] not in OWN and self.filter(record):
            self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._take(record, self._text(record))
        except Exception:  # noqa: BLE001 # arguments are people's: their __str__ may raise anything
            self.handleError(record)
