"""The public names of Python as pages: where mkdocstrings puts what it reads in the sources."""

import importlib

_MODULES = {
    "flower_engine": "What workflows and programs are written with.",
    "flower_engine.client": "The API for Python programs ([how it is used](../client.md)).",
    "flower_engine.testing": "Tests of workflows in skipped time ([how](../testing.md)).",
    "flower_engine.errors": "What can go wrong: a tree with one root.",
}


def python_pages() -> dict[str, str]:
    """Place -> text of the page of each public module."""
    return {f"reference/{module}.md": _page(module, said) for module, said in _MODULES.items()}


def _page(module: str, said: str) -> str:
    loaded = importlib.import_module(module)
    names = getattr(loaded, "__all__", None) or [
        name for name, of in vars(loaded).items() if _is_of(module, of)
    ]
    entries = [f"::: {module}.{name}\n" for name in names]
    return "\n".join([f"# {module}\n", f"{said}\n", *entries])


def _is_of(module: str, of: object) -> bool:
    return isinstance(of, type) and (of.__module__ == module or of.__name__ == "FlowerError")
