"""The descriptors 1 and 2 of a process, as they were before programs could close or redirect them."""

import contextlib
import fcntl
import os
import stat

_NUMBERS = (1, 2)


class StandardDescriptors:
    """Keeps both at other numbers, as far as they are open, so that they can be put back."""

    def __init__(self) -> None:
        self.kept: dict[int, int] = {}
        for number in _NUMBERS:
            with contextlib.suppress(OSError):  # it is closed, or there are no descriptors left
                self.kept[number] = os.dup(number)

    def put_back(self) -> None:
        """Opens again what a program closed."""
        for number, kept in self.kept.items():
            try:
                fcntl.fcntl(number, fcntl.F_GETFD)
            except OSError:
                os.dup2(kept, number)

    def take_back(self) -> None:
        """The same, and undoes what a program put in their place. Where a connection has the number of one
        that was closed, it is left to it."""
        self.put_back()
        for number, kept in self.kept.items():
            now = os.fstat(number)
            if not os.path.samestat(now, os.fstat(kept)) and not _is_connection(now):
                os.dup2(kept, number)

    def close(self) -> None:
        """Lets them go."""
        kept, self.kept = self.kept, {}
        for descriptor in kept.values():
            os.close(descriptor)


def _is_connection(status: os.stat_result) -> bool:
    """Also what waits for connections (epoll), which is of no kind."""
    return stat.S_ISSOCK(status.st_mode) or not stat.S_IFMT(status.st_mode)
