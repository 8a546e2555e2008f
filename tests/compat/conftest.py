"""Fixtures of the tests of recoveries and of the API serve here, too."""

from api.conftest import own_api, start_api
from recovery.conftest import both, settings

__all__ = ["both", "own_api", "settings", "start_api"]
