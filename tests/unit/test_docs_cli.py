"""``docs/cli.md`` names every command of ``flower`` and every flag of each, and nothing that is not there."""

import re
from pathlib import Path

import pytest

from flower_cli import main
from unit.flower_commands import COMMANDS, flags_of
from unit.pages import DOCS, ROOT, rows, source_files

CLI = ROOT / "services" / "flower_cli"
PAGE = (DOCS / "cli.md").read_text()
PAGES = {page: page.read_text() for page in [*DOCS.rglob("*.md"), ROOT / "README.md"]}


def test_the_page_has_every_command_with_its_flags() -> None:
    """The table to put there stands in the failure."""
    wanted = [
        f"| `{name}` | {', '.join(f'`{flag}`' for flag in sorted(flags_of(command)))} |".replace(
            "|  |", "| |"
        )
        for name, command in sorted(COMMANDS.items())
    ]
    _, _, listed = PAGE.partition("## Every command and its flags")
    assert re.findall(r"^\| `flower .*$", listed, re.MULTILINE) == wanted, "\n" + "\n".join(wanted)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_each_command_does_is_said(name: str) -> None:
    said, _, _ = PAGE.partition("## Every command and its flags")
    assert re.search(rf"\b{re.escape(name.split()[1])}\b", said)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_flag_that_a_page_names_is_there(page: Path) -> None:
    text = PAGES[page]
    words = {name.split()[1] for name in COMMANDS}
    named = set(re.findall(r"`flower ([a-z][a-z-]*)", text)) | set(
        re.findall(r"^\$ flower ([a-z-]+)", text, re.MULTILINE)
    )
    assert sorted(named - words) == []


def test_every_flag_that_the_page_names_is_one() -> None:
    known = {flag for command in COMMANDS.values() for flag in flags_of(command)}
    known |= {"--install-completion", "--help"}
    assert sorted(set(re.findall(r"--[a-z][a-z-]*", PAGE)) - known) == []


def test_the_page_has_every_exit_code() -> None:
    """0 is success and 130 Ctrl-C everywhere; the others have a name in the code."""
    named = [
        number
        for file in source_files(".py")
        for numbers in re.findall(r"^[A-Z_, ]*EXIT_[A-Z_, ]+ = ([\d, ]+)$", file.read_text(), re.MULTILINE)
        for number in re.findall(r"\d+", numbers)
    ]
    codes = [row["code"] for row in rows("cli.md", "code")]
    assert codes == sorted({"0", "130", *named}, key=int)


def test_every_file_of_commands_is_in_the_list_of_main() -> None:
    files = [file for folder in ("commands", "local") for file in (CLI / folder).glob("*.py")]
    adding = {f"{file.parent.name}.{file.stem}" for file in files if "\ndef add_to(" in file.read_text()}
    assert adding == set(main.COMMANDS)


def test_the_list_of_main_has_every_command() -> None:
    listed = [name for names in main.COMMANDS.values() for name in names]
    assert sorted(listed) == sorted({name.split()[1] for name in COMMANDS})


def test_every_command_is_run_by_a_test() -> None:
    tests = "\n".join(
        file.read_text() for file in (ROOT / "tests").rglob("*.py") if file.parent.name != "unit"
    )
    words = {name: name.split()[1:] for name in COMMANDS}
    unrun = [name for name, parts in words.items() if not re.search(_called(parts), tests)]
    assert unrun == []


def _called(words: list[str]) -> str:
    """The words of a command as a test gives them: strings one after the other, or one text."""
    return r"[\"'\s]+,?\s*[\"']?".join(rf"\b{re.escape(word)}\b" for word in words)
