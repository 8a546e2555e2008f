"""The chart is released with Flower, under the same number."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_the_chart_has_the_version_of_the_image_that_it_runs() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((ROOT / "deploy" / "helm" / "flower" / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)
