"""Which examples Hypothesis tries: the same ones in each run of the suite, random ones in ``make fuzz``."""

from collections.abc import Generator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal import charmap
from hypothesis.internal.conjecture import providers
from hypothesis.internal.conjecture.engine import ConjectureRunner

_times = 0


def set_up(times: int) -> None:
    """Before tests are imported. 0: the same examples as in each run; N: random ones, N times as many."""
    global _times  # noqa: PLW0603 # decorators of tests ask for it while they are imported
    _times = times
    settings.register_profile(
        "flower",
        max_examples=examples(100),
        derandomize=times == 0,
        # How long it takes to make or to try an example says something about the machine only.
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("flower")


def examples(count: int) -> int:
    """So many in a run of the suite."""
    return count * max(1, _times)


def know_constants() -> None:
    """Reads the constants of all modules that are there, from which Hypothesis draws, and which characters
    there are: before this process is copied, as each copy would do it for itself. What UTF-8 can say is tried
    with a million characters in a checkout that has no ``.hypothesis`` yet."""
    charmap.charmap()
    charmap.intervals_from_codec("utf-8")
    providers._get_local_constants()  # pyright: ignore[reportPrivateUsage]


@contextmanager
def each_from_nothing() -> Generator[None]:
    """In a run of the suite no example of a state machine is made of another one.

    Hypothesis makes up to five of each one that it draws, with a part of it twice. So machines do again what
    they have done: with a quarter of the examples, each drawn anew, they come to more of the transitions' Lua
    (decision 127). ``make fuzz`` tries both kinds.
    """
    with pytest.MonkeyPatch.context() as patch:
        if _times == 0:
            patch.setattr(ConjectureRunner, "generate_mutations_from", _make_none)
        yield


def _make_none(runner: ConjectureRunner, data: object) -> None: ...
