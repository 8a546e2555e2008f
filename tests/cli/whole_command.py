"""The ``flower`` command with all that it can do, for tests that run it in their own process."""

from flower_cli.main import make_app

app = make_app()
