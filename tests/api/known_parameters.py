"""What FastAPI finds out about a route and its parameters, once for all APIs that tests of a process start.

It takes functions apart and makes a validator of each parameter whenever an app is made: most of what the
start of an API in the tests' own process costs, some hundred times. What it finds keeps nothing of the app.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, cast

from fastapi import routing

_found: dict[Any, dict[str, Any]] = {}
_written: dict[Any, Any] = {}


def remember_parameters() -> None:
    """From now on. A route is known by its path, its methods and the code of its function."""
    library: Any = routing  # the function has no public name
    find_out: Callable[..., None] = library._populate_api_route_state

    def populate(route: Any, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        key = (path, *(more["methods"] or ()), endpoint.__code__)
        state, of_app = cast(dict[str, Any], vars(route)), more["dependency_overrides_provider"]
        if key in _found:
            state |= _found[key]
            state |= {"endpoint": endpoint, "dependency_overrides_provider": of_app}
            route.dependant = dataclasses.replace(route.dependant, call=endpoint)
            return
        find_out(route, path, endpoint, **more)
        if not route.dependant.dependencies:  # those are of the app
            dependant = dataclasses.replace(route.dependant, call=None)
            of_no_app = {"endpoint": None, "dependency_overrides_provider": None, "dependant": dependant}
            _found[key] = state | of_no_app

    find_where: Callable[..., Any] = library._extract_endpoint_context

    def where_written(endpoint: Any) -> Any:
        """Its file and line: to find them, the library reads the source of each function of each app."""
        code = getattr(endpoint, "__code__", endpoint)
        if code not in _written:
            _written[code] = find_where(endpoint)
        return _written[code]

    library._populate_api_route_state = populate
    library._extract_endpoint_context = where_written
