"""What a program forks off is a process of its own: nothing that it does or receives reaches the service.

A fork copies everything: handlers of signals and the pipe that they write to, connections, the event loop,
and the way back into the service's code. So a copy gets the default handlers before any signal can reach it,
finds ``/dev/null`` in place of what the service wants to keep to itself, and ends where it would return from
the program.
"""

import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import asyncio

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

Descriptors = Callable[[Any], Iterable[int]]
"""The file descriptors of an owner, as they are at this moment."""


class _Process:
    """What is known of this process."""

    forks = 0  # how often it was forked off since the first of its ancestors that called ``set_copies_apart``
    is_apart = False
    loop: "tuple[int, asyncio.AbstractEventLoop] | None" = None  # and the thread that it runs on


_private: "weakref.WeakKeyDictionary[Any, Descriptors]" = weakref.WeakKeyDictionary()
_masks = threading.local()  # fork.mask: what the thread that forks had blocked


def set_copies_apart(loop: "asyncio.AbstractEventLoop | None" = None) -> None:
    """From now on every process that is forked off this one stands on its own; ``loop``: the one that the
    calling thread runs."""
    if loop is not None:
        _Process.loop = (threading.get_ident(), loop)
    if not _Process.is_apart:
        _Process.is_apart = True
        os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


def hide_from_copies(owner: object, descriptors: Descriptors) -> None:
    """Copies find ``/dev/null`` in the place of these descriptors, as long as the owner lives.

    A copy that outlives the service would keep its connections open, and whoever waits for their end waiting;
    and what it closes or writes by accident would hit the service.
    """
    _private[owner] = descriptors


def hide_socket(one: socket.socket) -> None:
    """The same for a socket, until it is closed."""
    hide_from_copies(one, lambda one: [one.fileno()])


def forks() -> int:
    """A number that is another one in a process that was forked off since; for ``end_copy``."""
    return _Process.forks


def end_copy(before: int, error: BaseException | None = None) -> None:
    """Ends this process, if it was forked off since ``forks()`` was ``before``: as Python ends one, but with
    nothing of what the service had wanted to do at its end. ``error`` is what was raised in it."""
    if _Process.forks != before:
        _end(error)


def _before() -> None:
    # A signal that comes before the copy has handlers of its own waits until then.
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def _after_in_parent() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _after_in_child() -> None:
    _Process.forks += 1
    try:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        atexit._clear()  # as multiprocessing does it  # pyright: ignore[reportPrivateUsage]
        _hide()
        if _Process.loop is not None and _Process.loop[0] == threading.get_ident():
            _Process.loop[1].call_soon(_end_loop)
    finally:
        _Process.loop = None
        _private.clear()
        signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _hide() -> None:
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for owner, descriptors in list(_private.items()):
        with contextlib.suppress(Exception):  # it was copied in the middle of some change
            for descriptor in descriptors(owner):
                if descriptor >= 0:
                    os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


def _end_loop() -> NoReturn:
    """The event loop was copied with all that the service does on it, and goes on in the copy."""
    os.write(2, b"a process that an async program forked off ends, because it awaits something\n")
    os._exit(1)


def _end(error: BaseException | None) -> NoReturn:
    code = 0
    try:
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
            if not isinstance(error.code, int | None):
                sys.stderr.write(f"{error.code}\n")
        elif error is not None:
            code = 1
            traceback.print_exception(error)
        atexit._run_exitfuncs()  # only its own  # pyright: ignore[reportPrivateUsage]
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code & 0xFF)
