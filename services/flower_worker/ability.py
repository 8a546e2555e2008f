"""Which programs that need a process this worker can start now, and why not the others."""

import logging
from collections.abc import Callable, Iterable, Mapping

_log = logging.getLogger(__name__)
_MOST_CHARACTERS = 500


class CannotStartError(Exception):
    """No process took the job up, so nothing of it has run."""


class Ability:
    """What is known of that, from the processes that were started, or not."""

    def __init__(self, programs: Iterable[str]) -> None:
        self.programs = frozenset(programs)
        self.unable: Mapping[str, str] = {}  # program -> why; another one when it changes: threads read it
        self.most: int | None = None  # no more processes than these can be had now
        self.when_changed: list[Callable[[], None]] = []

    @property
    def able(self) -> list[str]:
        """Programs that can be started, as far as is known."""
        return sorted(self.programs - self.unable.keys())

    def note_all(self, why: str) -> None:
        """No process starts at all."""
        self._note(dict.fromkeys(sorted(self.programs), why[:_MOST_CHARACTERS]))

    def note_few(self, most: int, why: str) -> None:
        """So many processes run, and no more start."""
        if self.most != most:
            _log.error("no more than %d processes for programs: %s; trying again now and then", most, why)
            self.most = most
            self._tell()

    def note(self, served: Iterable[str], problems: Iterable[str]) -> None:
        """A process has started, and serves these of the programs; what kept it from the others."""
        missing = sorted(self.programs.difference(served))
        if self.most is not None:
            _log.warning("more processes for programs can be had again")
            self.most = None
            self._tell()
        why = "; ".join(problems) or "a process that is started now does not register it"
        self._note(dict.fromkeys(missing, why[:_MOST_CHARACTERS]))

    def _note(self, unable: dict[str, str]) -> None:
        if unable == self.unable:
            return
        reasons = dict.fromkeys(unable.values())
        for reason in reasons:
            names = [name for name, why in unable.items() if why == reason]
            if names != [name for name, why in self.unable.items() if why == reason]:
                _log.error("cannot start %s: %s; trying again now and then", ", ".join(names), reason)
        mended = sorted(self.unable.keys() - unable.keys())
        if mended:
            _log.warning("can start %s again", ", ".join(mended))
        self.unable = unable
        self._tell()

    def _tell(self) -> None:
        for changed in self.when_changed:
            changed()
