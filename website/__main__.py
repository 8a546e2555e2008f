"""``python -m website``: lays what the site is made of into ``build/website``; ``python -m website check``
looks at the site that was made of it in ``build/website/site``. ``make site`` does both."""

import shutil
import sys

from website.built_site import problems_of
from website.command_reference import command_page
from website.http_reference import http_page
from website.navigation import as_toml, chapters
from website.pages import ROOT, Site
from website.python_reference import python_pages

_LAID = ROOT / "build" / "website"
_BUILT = _LAID / "site"


def lay() -> None:
    """Writes pages, pictures and configuration."""
    site = Site()
    site.add_pages()
    site.texts |= {
        "reference/http.md": http_page(),
        "reference/commands.md": command_page(),
        **python_pages(),
    }
    shutil.rmtree(_LAID, ignore_errors=True)
    for place, text in site.texts.items():
        file = _LAID / "docs" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for place, picture in site.pictures.items():
        file = _LAID / "docs" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, file)
    shutil.copy(ROOT / "website" / "site.css", _LAID / "docs")
    settings = (ROOT / "website" / "site.toml").read_text()
    navigation = as_toml(chapters(dict(site.named())))
    (_LAID / "zensical.toml").write_text(settings.replace("[project]\n", f"[project]\n{navigation}\n", 1))


def check() -> None:
    """Ends with exit code 1 and what is wrong, where something is."""
    problems = problems_of(_BUILT)
    if problems:
        sys.exit("\n".join(problems))
    pages = len(list(_BUILT.rglob("*.html")))
    sys.stdout.write(
        f"{pages} pages in build/website/site; all links lead somewhere, nothing is loaded from elsewhere\n"
    )


if __name__ == "__main__":
    check() if sys.argv[1:] == ["check"] else lay()
