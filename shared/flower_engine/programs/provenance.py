"""Where the values of parameters that hold references come from, in words: for errors about them."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from flower_engine.model.parameters.reference_forms import From
from flower_engine.model.parameters.references import scan_parameters
from flower_engine.programs.parameter_binding import Provenance

_MOST_NAMED = 3  # that an error names


def provenance_of(parameters: Mapping[str, Any]) -> dict[str, Provenance]:
    """Where the values of parameters that hold references come from, in words, by name."""
    provenance: dict[str, Provenance] = {}
    for name, value in parameters.items():
        if not isinstance(value, dict | list):
            continue
        found = scan_parameters({name: value})
        texts = [_words(use.form) for use in found.uses[:_MOST_NAMED]]
        if len(found.uses) > _MOST_NAMED:
            texts.append(f"{len(found.uses) - _MOST_NAMED} more")
        if found.secrets:
            texts += [f"secret {secret}" for secret in found.secrets]
        if texts:
            how = "which is" if "$from" in value or "$secret" in value else "made of"
            if "$either" in value:
                how = "which is the first that there is of"
            provenance[name] = Provenance(f"{how} {', '.join(texts)}", bool(found.secrets))
    return provenance


class LateProvenance(Mapping[str, Provenance]):
    """The same, looked for when it is asked for: most often it never is."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self._parameters = parameters

    @cached_property
    def _found(self) -> dict[str, Provenance]:
        return provenance_of(self._parameters)

    def __getitem__(self, name: str) -> Provenance:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _words(form: From) -> str:
    return (
        f"{form.path!r} of the result of task {form.name}" if form.path else f"the result of task {form.name}"
    )
