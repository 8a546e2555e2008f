"""Whether a service does its work: when each piece of it was done last, and whether that is long ago.

That a process lives and its connections stand says little: nothing may come over them any more. So each piece
of work is held against when it should have been done again. Loops are watched by themselves while they run
(``loop.py``); what is no loop says it with :func:`watched`.
"""

import contextlib
from collections.abc import Generator, Iterator
from contextvars import ContextVar
from typing import Protocol

import msgspec

PATIENCE_SECONDS = 15.0
"""How long beyond its time a piece of work may be late while all is well: on a busy machine, or while a store
that is restarted is waited for."""

_HERE: ContextVar["WorkDone | None"] = ContextVar("flower_work_done", default=None)


class Standing(msgspec.Struct, frozen=True, rename="camel"):
    """One piece of work: how many seconds ago it was done last (None: not yet), and what is wrong with it.
    ``partition``: it is work of this partition alone."""

    name: str
    last_seconds: float | None
    problem: str | None = None
    partition: int | None = None


class Work(Protocol):
    """Something that is done again and again."""

    def standing(self) -> Standing:
        """How it stands now."""
        ...


class WorkDone:
    """The work of one service."""

    def __init__(self, service: str) -> None:
        self.service = service
        self._is_at_work = False
        self._works: dict[Work, None] = {}

    def standings(self) -> list[Standing]:
        """Each piece of work that is under way, in the order in which they began."""
        return [work.standing() for work in list(self._works)]

    @property
    def waits_for(self) -> str | None:
        """Why it does not work at all; None: it does."""
        if self._is_at_work:
            return None
        return "it is not at work: it begins, ends, or waits for its stores or a recovery, as its log says"

    @contextlib.contextmanager
    def here(self) -> Generator[None]:
        """Watches what is begun within."""
        token = _HERE.set(self)
        try:
            yield
        finally:
            _HERE.reset(token)

    @contextlib.contextmanager
    def watching(self, works: Iterator[Work]) -> Generator[None]:
        """Watches these as well, as long as the context lasts."""
        added = list(works)
        self._works |= dict.fromkeys(added)
        try:
            yield
        finally:
            for work in added:
                self._works.pop(work, None)

    @contextlib.contextmanager
    def at_work(self) -> Generator[None]:
        """The service does its work within."""
        self._is_at_work = True
        try:
            yield
        finally:
            self._is_at_work = False


def work_done_here() -> WorkDone | None:
    """The work of the service that this code runs in; None: it is in none."""
    return _HERE.get()


@contextlib.contextmanager
def watched(*works: Work) -> Generator[None]:
    """These are pieces of the work of the service that this code runs in, as long as the context lasts."""
    here = _HERE.get()
    if here is None:
        yield
        return
    with here.watching(iter(works)):
        yield


@contextlib.contextmanager
def at_work(*works: Work) -> Generator[None]:
    """The same, and from here on the service is ready, if all its work is done in time."""
    here = _HERE.get()
    if here is None:
        yield
        return
    with here.watching(iter(works)), here.at_work():
        yield
