"""The state machines with a Redis that is lost at any moment, and rebuilt."""

import pytest

from stateful.machines import CleanedUpTransitions, Transitions, run_machine
from stateful.recovered import Recovered
from stateful.test_maps import ChainedTransitions
from stateful.test_medleys import MedleyTransitions
from stateful.test_waits import WaitTransitions

pytestmark = pytest.mark.hypothesis


class RecoveredTransitions(Recovered, Transitions):
    """Plain flows."""


class RecoveredWaits(Recovered, WaitTransitions):
    """Flows that wait."""


class RecoveredCleanups(Recovered, CleanedUpTransitions):
    """Flows that clean up."""


class RecoveredChains(Recovered, ChainedTransitions):
    """Flows with chains of maps."""


class RecoveredMedleys(Recovered, MedleyTransitions):
    """Flows with all of it."""


@pytest.mark.parametrize(
    ("machine", "examples"),
    [
        (RecoveredTransitions, 4),
        (RecoveredWaits, 5),
        (RecoveredCleanups, 5),
        (RecoveredChains, 4),
        (RecoveredMedleys, 6),
    ],
)
def test_a_redis_that_was_rebuilt_at_any_moment_is_what_the_history_says(
    redis_url: str, machine: type[Transitions], examples: int
) -> None:
    run_machine(redis_url, examples=examples, base=machine)
