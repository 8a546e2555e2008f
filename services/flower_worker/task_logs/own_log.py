"""The log of the worker itself, which goes on whatever programs do to ``logging``."""

import logging

OWN = frozenset(
    {
        *("flower_engine", "flower_worker", "flower_cli", "flower_api", "flower_projector", "flower_watcher"),
        *("flower_bench", "flower_schema"),
    }
)
"""The names that Flower's own loggers begin with."""

_log = logging.getLogger(__name__)


class OwnLog:
    """A program that sets logging up anew (``dictConfig``, ``basicConfig`` with ``force``, ``disable``) takes
    the handlers of all away, and disables what loggers there are. It may do so for itself."""

    def __init__(self) -> None:
        """As it is now."""
        self._root = logging.getLogger()
        self._handlers = list(self._root.handlers)
        self._level = self._root.level
        self._disabled = self._root.manager.disable
        self._apart: list[logging.Logger] = []

    def put_back(self, *, is_alone: bool) -> None:
        """Lets Flower's own loggers go on as before, apart from what programs made of the root logger. While
        other programs run (not ``is_alone``), one may want all of logging to be off."""
        root = self._root
        if is_alone and root.manager.disable != self._disabled:
            logging.disable(self._disabled)
        if not self._apart:
            if (
                not _log.disabled
                and root.level == self._level
                and all(one in root.handlers for one in self._handlers)
            ):
                return
            self._set_apart()
        if _log.disabled:
            for name, logger in root.manager.loggerDict.items():
                if isinstance(logger, logging.Logger) and name.partition(".")[0] in OWN:
                    logger.disabled = False

    def forget(self) -> None:
        """Flower's own loggers are as any others again."""
        for logger in self._apart:
            logger.handlers[:] = []
            logger.propagate = True
            logger.setLevel(logging.NOTSET)
        self._apart = []

    def _set_apart(self) -> None:
        for name in OWN:
            logger = logging.getLogger(name)
            logger.handlers[:] = self._handlers
            logger.propagate = False
            logger.setLevel(self._level)
            self._apart.append(logger)
