"""The diagrams of the pages as pictures: ``python -m website.diagrams`` draws those that have none yet.

The pages hold Mermaid; the site shows ``docs/diagrams/``, so that a reader's browser fetches and runs
nothing for them. Mermaid is taken from npm and kept nowhere.
"""

import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

from website.pages import DIAGRAM, DIAGRAMS, ROOT, diagram_name, sources

FOLDER = ROOT / DIAGRAMS
_MERMAID = "mermaid@11.17.2"
_IN_PACKAGE = "package/dist/mermaid.min.js"


def drawn_in_pages() -> dict[str, str]:
    """Name -> text of every diagram of the pages."""
    texts = [(ROOT / source).read_text() for source in sources()]
    return {diagram_name(diagram): diagram for text in texts for diagram in DIAGRAM.findall(text)}


def draw() -> None:
    """Draws what has no picture, and removes the pictures of what is no more."""
    wanted = drawn_in_pages()
    FOLDER.mkdir(exist_ok=True)
    has = {file.stem: file for file in FOLDER.glob("*.svg")}
    for name in has.keys() - wanted.keys():
        has[name].unlink()
    missing = {name: text for name, text in wanted.items() if name not in has}
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix="flower-diagrams-") as made:
        packed = ["npm", "pack", "--silent", "--ignore-scripts", _MERMAID]
        name = subprocess.run(packed, cwd=made, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[
            -1
        ]
        with tarfile.open(Path(made) / name) as archive:
            archive.extract(_IN_PACKAGE, made, filter="data")
        command = ["node", "diagrams.mjs", str(Path(made) / _IN_PACKAGE), str(FOLDER)]
        subprocess.run(command, cwd=ROOT / "dashboard", input=json.dumps(missing), text=True, check=True)
    for name in missing:
        file = FOLDER / f"{name}.svg"
        file.write_text(re.sub(r"\s*max-width: [\d.]+px;", "", file.read_text()))


if __name__ == "__main__":
    draw()
