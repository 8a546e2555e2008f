"""Why an attempt failed, as events and tables hold it."""

import msgspec


class TaskError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an attempt failed."""

    type: str
    message: str
    traceback: str = ""
