"""What a page tells its reader to do: files to write, and commands with what they print, in their order."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w/.-]+\.\w+)\n")


class Block(NamedTuple):
    """A block of a page: the content of a file, named in its first line, or commands (``file`` is "")."""

    file: str
    text: str


def blocks_of(text: str) -> list[Block]:
    """The files (``python``, ``text``) and the commands (``console``) of a page; others are to read."""
    blocks: list[Block] = []
    for language, content in _BLOCK.findall(text):
        if language == "console":
            blocks.append(Block("", content))
        elif language in ("python", "text"):
            named = _FILE.match(content)
            assert named is not None, f"this block does not begin with the name of its file:\n{content}"
            blocks.append(Block(named[1], content if language == "python" else content[named.end() :]))
    assert blocks, "no page without blocks"
    return blocks


def steps_of(block: Block) -> Iterator[tuple[str, str]]:
    """Each command with what the page says that it prints."""
    for step in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, printed = step.partition("\n")
        yield command, printed


def told(said: str, printed: str) -> bool:
    """Whether the page says what was said. ``...`` stands for anything, on a line of its own for any lines;
    a page that shows nothing of a command says nothing of it."""
    if not printed.strip():
        return True
    parts = re.split(r"(\n?^\.\.\.$\n?|\.\.\.)", printed.strip(), flags=re.MULTILINE)
    pattern = "".join(
        (r"(?s:.*)" if "\n" in part or part == printed.strip() else r".*")
        if part.strip() == "..."
        else re.escape(part)
        for part in parts
    )
    lines = "\n".join(line.rstrip() for line in said.strip().splitlines())
    return re.fullmatch(pattern, lines) is not None
