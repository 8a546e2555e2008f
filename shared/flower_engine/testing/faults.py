"""What a test of a workflow fails with."""


class FlowerTestError(AssertionError):
    """The root of these. They are assertions: the test fails, and pytest shows the message."""


class StuckError(FlowerTestError):
    """A flow does not finish: nothing of it runs, and nothing is due. Says of each task why."""


class StubError(FlowerTestError):
    """A stub gives what its program cannot, or is asked for more than it has."""
