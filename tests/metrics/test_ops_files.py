"""The page on monitoring, alerts and dashboard name what the services tell: every metric, and no other."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

import promql_parser
import pytest
import yaml

from flower_engine.runtime.metrics.catalogue import METRICS
from flower_engine.runtime.settings import Settings, variable
from unit.pages import ROOT, rows

OPS = ROOT / "ops"
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
RULES: list[dict[str, Any]] = yaml.safe_load((OPS / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((OPS / "grafana.json").read_text())
OF_PROCESSES = {
    "process_open_fds",
    "process_max_fds",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
}
"""What prometheus-client tells of any process, of which the alerts and the dashboard make use."""
_PARTS = ("_bucket", "_count", "_sum")


def _targets() -> list[dict[str, Any]]:
    panels = cast("list[dict[str, Any]]", DASHBOARD["panels"])
    return [target for panel in panels for target in panel.get("targets", [])]


EXPRESSIONS = [*(str(rule["expr"]) for rule in RULES), *(str(target["expr"]) for target in _targets())]


class Selector:
    """What an expression selects: a metric, by labels."""

    def __init__(self, found: promql_parser.VectorSelector) -> None:
        self.name = found.name or ""
        self.labels = {matcher.name: matcher.value for matcher in found.matchers.matchers}
        self.metric = next((self.name.removesuffix(part) for part in _PARTS if self._is_of(part)), self.name)

    def _is_of(self, part: str) -> bool:
        whole = METRICS.get(self.name.removesuffix(part))
        return self.name.endswith(part) and whole is not None and whole.kind == "histogram"


def _selectors(expression: str) -> Iterator[Selector]:
    """Raises ValueError where the expression is none."""
    yield from _below(promql_parser.parse(expression.replace("$__rate_interval", "5m")))


def _below(node: Any) -> Iterator[Selector]:
    if isinstance(node, promql_parser.VectorSelector):
        yield Selector(node)
    for name in ("vector_selector", "expr", "lhs", "rhs", "args"):
        inner = getattr(node, name, None)
        for one in inner if isinstance(inner, list) else [inner]:  # pyright: ignore[reportUnknownVariableType]
            if one is not None:
                yield from _below(one)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_asks_for_what_there_is(expression: str) -> None:
    found = list(_selectors(expression))
    assert found
    for selector in found:
        if selector.name in OF_PROCESSES:
            continue
        assert selector.metric in METRICS, selector.name
        metric = METRICS[selector.metric]
        assert (selector.name == selector.metric) == (metric.kind != "histogram"), selector.name
        assert set(selector.labels) <= set(metric.labels)
        grouped = {
            label.strip()
            for labels in re.findall(r"by \(([^)]*)\)", expression)
            for label in labels.split(",")
        }
        assert grouped <= {*metric.labels, "le", "instance", "job"}


def test_the_dashboard_shows_every_metric() -> None:
    shown = {one.metric for target in _targets() for one in _selectors(str(target["expr"]))}
    assert set(METRICS) - shown == set()


def test_the_page_has_every_metric_as_the_services_have_it() -> None:
    """The rows to put there stand in the failure."""
    wanted: list[list[str]] = []
    for name, metric in METRICS.items():
        services = "all" if len(metric.services) == 4 else ", ".join(metric.services)
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        wanted.append([f"`{name}`", services, labels, f"{metric.kind}: {metric.means}"])
    found = [list(row.values()) for row in rows("monitoring.md", "metric")]
    assert found == wanted, "\n" + "\n".join(f"| {' | '.join(row)} |" for row in wanted)


def test_the_page_has_every_alert_as_its_rule_says_it() -> None:
    wanted = [
        [f"`{rule['alert']}`", str(rule["annotations"]["summary"]), str(rule["annotations"]["action"])]
        for rule in RULES
    ]
    found = [list(row.values()) for row in rows("monitoring.md", "alert")]
    assert found == wanted, "\n" + "\n".join(f"| {' | '.join(row)} |" for row in wanted)


def test_the_page_names_no_metric_that_nobody_tells() -> None:
    named = set(re.findall(r"\bflower_(?!engine)[a-z_]+", PAGE))
    assert named - set(METRICS) == set()


def test_every_alert_says_how_bad_it_is() -> None:
    assert {str(rule["labels"]["severity"]) for rule in RULES} <= {"critical", "warning", "info"}
    assert len({str(rule["alert"]) for rule in RULES}) == len(RULES)


def test_alerts_name_settings_that_there_are() -> None:
    settings = {variable(name) for name in Settings.model_fields}
    assert set(re.findall(r"FLOWER_[A-Z_]+", (OPS / "alerts.yaml").read_text())) <= settings


def test_panels_have_numbers_and_places_of_their_own() -> None:
    panels = cast("list[dict[str, Any]]", DASHBOARD["panels"])
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


def test_every_metric_has_a_unit_at_the_end_of_its_name() -> None:
    """As Prometheus names them: counters end with _total, times are in seconds, sizes in bytes."""
    for name, metric in METRICS.items():
        assert re.fullmatch(r"flower_[a-z_]+", name)
        assert name.endswith("_total") == (metric.kind == "counter"), name
        assert metric.kind != "histogram" or name.endswith("_seconds"), name
        assert not re.search(r"_(ms|mb|kb|minutes)$", name), name
