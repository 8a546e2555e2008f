"""Transitions with other constants, so that what they do in steps is done in small ones."""

from types import ModuleType

import pytest

from flower_engine.transitions.loader import Script


def in_small(monkeypatch: pytest.MonkeyPatch, module: ModuleType, **constants: str) -> None:
    """The transitions of a module have these constants of helpers."""
    for script in [value for value in vars(module).values() if isinstance(value, Script)]:
        small = Script(script.name, **constants)
        # This order: what is put back is worked out from the text, if nobody has asked for it before.
        monkeypatch.setattr(script, "sha", small.sha)
        monkeypatch.setattr(script, "text", small.text)
