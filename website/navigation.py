"""The order of the site's pages: the tutorial, then what one wants to do, then what one looks up, and why."""

from collections.abc import Iterator

Chapters = list[tuple[str, list[tuple[str, str]]]]

_FIRST = [("Flower", "index.md"), ("Tutorial", "tutorial.md")]
_CHAPTERS: list[tuple[str, list[str]]] = [
    ("Coming from", ["from-celery.md", "from-airflow.md", "from-prefect.md", "from-temporal.md"]),
    ("Write", ["workflows.md", "testing.md", "client.md", "examples/index.md"]),
    (
        "Run",
        [
            "schedules.md",
            "hooks.md",
            "logs.md",
            "monitoring.md",
            "traces.md",
            "operations.md",
            "deployment.md",
            "platforms.md",
        ],
    ),
    (
        "Look up",
        [
            *("cli.md", "reference/commands.md", "api.md", "reference/http.md"),
            *("reference/flower_engine.md", "reference/flower_engine.client.md"),
            *("reference/flower_engine.testing.md", "reference/flower_engine.errors.md"),
            *("settings.md", "glossary.md"),
        ],
    ),
    ("How it works", ["lifecycle.md", "keys.md", "adding.md"]),
    (
        "The project",
        [
            *("changelog.md", "versioning.md", "security.md", "contributing.md", "releasing.md"),
            "third-party.md",
        ],
    ),
]


def chapters(titles: dict[str, str]) -> Chapters:
    """Chapter -> title and place of its pages; ``titles``: of all pages by place. Others come last."""
    listed = [(name, [(titles[place], place) for place in places]) for name, places in _CHAPTERS]
    listed.append(
        ("Sources of examples", [(titles[place], place) for place in titles if _is_shown_file(place)])
    )
    listed.append(
        ("Decisions", [(titles[place], place) for place in titles if place.startswith("decisions/")])
    )
    has = {place for _, pages in listed for _, place in pages} | {place for _, place in _FIRST}
    others = [(titles[place], place) for place in titles if place not in has and "/" not in place]
    return [*listed, ("More", others)] if others else listed


def as_toml(listed: Chapters) -> str:
    """``nav`` of the configuration."""
    return "\n".join(
        [
            "nav = [",
            *(f"  {{ {_text(title)} = {_text(place)} }}," for title, place in _FIRST),
            *_inner(listed),
            "]",
        ]
    )


def _inner(listed: Chapters) -> Iterator[str]:
    for name, pages in listed:
        inner = ", ".join(f"{{ {_text(title)} = {_text(place)} }}" for title, place in pages)
        yield f"  {{ {_text(name)} = [{inner}] }},"


def _is_shown_file(place: str) -> bool:
    return place == "compose.md" or (place.startswith("examples/") and place != "examples/index.md")


def _text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("`", "") + '"'
