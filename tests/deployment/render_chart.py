"""Renders the chart with Helm's own engine, and holds what comes out against the schemas of Kubernetes.

Runs in ``.venv-chart`` (``helm-python-sdk``, which binds Helm's Go SDK, and ``kubernetes-validate``, which
brings the schemas along): neither a cluster nor a network is asked. Reads values by a name from standard
input, and writes as JSON what each came to.
"""

import json
import sys
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import yaml

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "flower"
VERSIONS = ("1.27", "1.37")  # the oldest that the chart takes, and the newest whose schemas there are
OF_OTHERS = ("keda.sh/v1alpha1",)  # definitions that KEDA brings into a cluster


def rendered(chart: Any, values: dict[str, Any]) -> dict[str, Any]:
    """What the chart makes of the values, or why it refuses them."""
    try:
        chart.validate_schema(values)
        files = chart.render(values, name="prod", namespace="work")
    except helm_python.HelmError as error:
        return {"error": str(error), "manifests": [], "problems": [], "notes": ""}
    notes = files.pop("flower/templates/NOTES.txt")
    manifests = [one for text in files.values() for one in yaml.safe_load_all(text) if one]
    return {"error": "", "manifests": manifests, "problems": problems(manifests), "notes": notes}


def problems(manifests: list[dict[str, Any]]) -> list[str]:
    """What Kubernetes would not take, unknown fields as well."""
    found: list[str] = []
    for manifest in manifests:
        if manifest["apiVersion"] in OF_OTHERS:
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(manifest, version, strict=True)
            except Exception as error:  # noqa: BLE001 # whatever is wrong with it
                found.append(f"{manifest['kind']} {manifest['metadata']['name']} in {version}: {error}")
    return found


def main() -> None:
    cases: dict[str, dict[str, Any]] = json.load(sys.stdin)
    lint = helm_python.lint(str(CHART), strict=True)
    with helm_python.Chart.load(str(CHART)) as chart:
        told = {name: rendered(chart, values) for name, values in cases.items()}
    json.dump({"helm": helm_python.helm_sdk_version(), "lint": lint, "cases": told}, sys.stdout)


if __name__ == "__main__":
    main()
