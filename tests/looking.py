"""Between two looks at what a test waits for."""

import time

_SHORTEST_SECONDS = 0.05
_LONGEST_SECONDS = 0.5


def rest(began: float) -> None:
    """Sleeps after a look that began at this ``time.monotonic``: for twice as long as it took, within bounds.

    What runs a command, or asks for a list of flows, would else be most of what a machine does while a test
    waits for it to do something.
    """
    took = time.monotonic() - began
    time.sleep(min(max(_SHORTEST_SECONDS, 2 * took), _LONGEST_SECONDS))
