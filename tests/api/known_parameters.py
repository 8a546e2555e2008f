"""What FastAPI finds out about the parameters of a route, once for all APIs that tests of a process start.

It makes a validator of each parameter whenever an app is made: half of what the start of an API in the tests'
own process costs, some hundred times. The validators keep nothing of the app.
"""

import inspect
import threading
from collections.abc import Callable
from typing import Any

from fastapi.dependencies import utils

_found: dict[Any, Any] = {}
_now = threading.local()


def remember_parameters() -> None:
    """From now on. A route is known by the code of its function, a parameter by its name."""
    read_signature, analyze = utils.get_typed_signature, utils.analyze_param

    def get_typed_signature(call: Callable[..., Any]) -> inspect.Signature:
        _now.code = getattr(inspect.unwrap(call), "__code__", None)
        return read_signature(call)

    def analyze_param(*, param_name: str, path_param_names: set[str], **more: Any) -> Any:
        key = (_now.code, param_name, frozenset(path_param_names))
        known = _found.get(key)
        if known is None:
            known = analyze(param_name=param_name, path_param_names=path_param_names, **more)
            if _now.code is not None and known.depends is None:  # what it depends on is of the app
                _found[key] = known
        return known

    utils.get_typed_signature, utils.analyze_param = get_typed_signature, analyze_param
