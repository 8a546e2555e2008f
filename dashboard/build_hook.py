"""What the build of a wheel or an sdist does about the dashboard: none goes out without its bundle."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DashboardHook(BuildHookInterface[Any]):
    """Builds the bundle where it is not of these sources. An editable install goes on without one: its
    API says what is missing, and ``make run`` builds it."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fails, with what is missing, where the bundle is not there and cannot be built."""
        del build_data
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root) / "dashboard"))
        try:
            from bundle import BundleError, make_bundle  # noqa: PLC0415 # found only now
        finally:
            sys.path.pop(0)
        try:
            make_bundle()
        except BundleError as error:
            self.app.abort(str(error))
