"""Ctrl-C for what tests start."""

import signal


def heed_interrupts() -> None:
    """A shell lets what it begins in the background ignore Ctrl-C, and processes hand that on to those they
    start: from here on they heed it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
