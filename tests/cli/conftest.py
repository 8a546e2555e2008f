"""The fixtures of the API's tests serve the commands that talk to it, too."""

from api.conftest import own_api, start_api

__all__ = ["own_api", "start_api"]
