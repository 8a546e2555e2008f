"""Secrets that tasks name (``$secret``): where a worker looks for them, and whose tasks may have which.

A value is in the memory of the worker that runs the task, and nowhere else: it is masked in whatever the
attempt hands in and logs.
"""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import msgspec

from flower_engine.errors import SecretError
from flower_engine.runtime.secret_sources import SecretSources
from flower_engine.secrets import HIDDEN, learn_secrets
from flower_worker.secret_spellings import spellings

LEAST_MASKED_CHARACTERS = 6
"""A shorter value is not masked: what is left of a text would tell where it stood."""


class Secrets:
    """Looks secrets up, each time anew: files change."""

    def __init__(
        self, grants: Iterable[str], prefix: str, folder: Path | None, environment: Mapping[str, str]
    ) -> None:
        """``grants`` as in ``FLOWER_SECRETS_GRANTS``: ``workflow:NAME``, both may have ``*``."""
        self._grants = [grant.rpartition(":")[::2] for grant in grants]
        self._sources = SecretSources(prefix, folder, environment)

    def value(self, workflow: str, name: str) -> str:
        """The value of a secret for a task of the workflow.

        Raises:
            SecretError: the workflow may not have it, or it is not there; names it, and never a value.
        """
        if not any(fnmatchcase(workflow, one) and fnmatchcase(name, secret) for one, secret in self._grants):
            raise SecretError(
                f"secret {name} is not granted to workflow {workflow!r}: no entry of FLOWER_SECRETS_GRANTS of"
                f" this worker matches; {workflow}:{name} would"
            )
        found = self._sources.value(name)
        if len(found) >= LEAST_MASKED_CHARACTERS:
            learn_secrets([found])
        return found


class Mask:
    """Hides the secrets of one attempt in what it hands in."""

    def __init__(self, values: Iterable[str]) -> None:
        held = {value for value in values if len(value) >= LEAST_MASKED_CHARACTERS}
        self.values = tuple(sorted(held, key=lambda value: (-len(value), value)))
        self._forms = spellings(self.values)
        encoded = (one.encode() for form in self._forms for one in (form, json.dumps(form)[1:-1]))
        self._signs = {*encoded, *(msgspec.json.encode(form)[1:-1] for form in self._forms)}

    def text(self, text: str) -> str:
        """The text with stars for each secret."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text

    def json(self, payload: bytes) -> bytes:
        """The JSON with stars for each secret in its texts and keys."""
        if not any(sign in payload for sign in self._signs):
            return payload
        return msgspec.json.encode(self._masked(msgspec.json.decode(payload)))

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._masked(item) for item in cast("list[Any]", value)]
        if isinstance(value, dict):
            members = cast("dict[str, Any]", value)
            return {self.text(name): self._masked(item) for name, item in members.items()}
        return value
