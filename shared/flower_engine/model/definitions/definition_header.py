"""What can be wrong with what is said of a workflow as a whole: its schema, labels, description."""

from collections.abc import Iterator, Mapping
from typing import Any

from flower_engine.model.parameters.parameters_schema import problems_of_schema
from flower_engine.model.values.quoting import short

MAX_LABELS = 64
MAX_LABEL_LENGTH = 256
MAX_DESCRIPTION_LENGTH = 10_000


def problems_of_header(
    workflow: str, schema: Mapping[str, Any] | None, labels: Mapping[str, str], description: str | None
) -> list[str]:
    """Sentences that name the workflow, and the place in the schema."""
    found = [] if schema is None else [f"parametersSchema{problem}" for problem in problems_of_schema(schema)]
    found += _problems_of_labels(labels)
    if description is not None and len(description) > MAX_DESCRIPTION_LENGTH:
        found.append(f"description: it is longer than {MAX_DESCRIPTION_LENGTH} characters")
    return [f"workflow {workflow!r}: {problem}" for problem in found]


def _problems_of_labels(labels: Mapping[str, str]) -> Iterator[str]:
    if len(labels) > MAX_LABELS:
        yield f"labels: there are {len(labels)}; a workflow may have {MAX_LABELS}"
        return
    for name, value in labels.items():
        if not 0 < len(name) <= MAX_LABEL_LENGTH or not name.isprintable():
            yield f"labels: {short(name)!r} is no name (1 to {MAX_LABEL_LENGTH} characters, none of control)"
        if len(value) > MAX_LABEL_LENGTH or not value.isprintable():
            yield f"labels: the value of {short(name)!r} is no text of at most {MAX_LABEL_LENGTH} characters"
