"""Flows as people name them on the command line: by id, by the first characters of one, or as ``last``."""

import re

from flower_cli.commands.api_client import Api
from flower_engine.client.api_location import path_part

_SHORT = re.compile(r"last|[0-9a-fA-F-]{1,35}")  # whatever else there is, the API says that it is no id


def flow_id(api: Api, name: str) -> str:
    """The id that a name means; a whole id costs no call.

    Raises:
        ApiError: no flow, or more than one, has such an id.
    """
    if not _SHORT.fullmatch(name):
        return name
    found: str = api.read(f"/flow-names/{path_part(name)}")["taskFlowId"]
    return found
