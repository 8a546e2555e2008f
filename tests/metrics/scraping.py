"""Reads pages of metrics as Prometheus does."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

Sample = tuple[str, tuple[tuple[str, str], ...]]

TOLD_AT = re.compile(r"telling of this service at (http://\S+):")
_PATIENCE_SECONDS = 120.0


class Page:
    """What a service told."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families: dict[str, Metric] = {}
        for family in text_string_to_metric_families(text):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            assert name not in self.families, f"{name} is told twice"
            self.families[name] = family
        self.samples: dict[Sample, float] = {}
        for name, labels, value in self._all():
            assert (name, labels) not in self.samples, f"{name} {labels} is told twice"
            self.samples[name, labels] = value

    def value(self, name: str, /, **labels: str) -> float:
        """A sample; 0 where there is none."""
        return self.samples.get((name, tuple(sorted(labels.items()))), 0.0)

    def label_values(self) -> set[str]:
        return {value for _, labels in self.samples for _, value in labels}

    def _all(self) -> Iterator[tuple[str, tuple[tuple[str, str], ...], float]]:
        for family in self.families.values():
            for sample in family.samples:
                yield sample.name, tuple(sorted(sample.labels.items())), sample.value


def scrape(url: str, **headers: str) -> Page:
    """The page of metrics at this URL of a service."""
    reply = httpx.get(
        f"{url}/metrics", headers=headers, timeout=_PATIENCE_SECONDS, trust_env=False, verify=False
    )
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    return Page(reply.text)


def told_at(log: Path) -> str | None:
    """The URL that the service of this log names, the last one; None: it has named none yet."""
    found = TOLD_AT.findall(log.read_text()) if log.exists() else []
    return found[-1] if found else None
