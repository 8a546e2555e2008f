"""Which examples Hypothesis tries: the same ones in each run of the suite, random ones in ``make fuzz``."""

from hypothesis import HealthCheck, settings

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
