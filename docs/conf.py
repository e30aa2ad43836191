"""How Sphinx makes a site of docs/: `python -m docs.build`.

The pages are plain Markdown, so that they read as well where the repository is browsed. What a site needs beyond that
is done here: the lists of links in index.md become the table of contents, and links to files outside of docs/ lead to
the repository.
"""

import re
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

project = "simclr-tui"
author = "the simclr-tui authors"
release = version = version_of("simclr-tui")
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
exclude_patterns = ["_static", "**/__pycache__"]
highlight_language = "none"
suppress_warnings = ["misc.highlighting_failure"]
smartquotes = False  # they would make a dash of the two of an option
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["docs.css"]
html_title = "simclr-tui"
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None

REPOSITORY = "https://github.com/simclr-tui/simclr-tui/blob/main"
ROOT = Path(__file__).resolve().parent.parent

_LINK = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")
_ENTRY = re.compile(r"^- \[[^]]+\]\(([\w/.-]+)\.md\)", re.MULTILINE)
_log = logging.getLogger("docs")


def linked_to_the_repository(text: str, docname: str) -> str:
    """A page whose links to files beside docs/ lead to the repository; one to nowhere is a warning."""
    page = (ROOT / "docs" / docname).parent

    def replaced(found: re.Match[str]) -> str:
        target = (page / found[1]).resolve()
        if target.is_relative_to(ROOT / "docs"):
            return found[0]
        if not target.is_relative_to(ROOT) or not target.exists():
            _log.warning("%s: there is no %s", docname, found[1])
        return f"]({REPOSITORY}/{target.relative_to(ROOT)}{found[2] or ''})"

    return _LINK.sub(replaced, text)


def with_contents(text: str) -> str:
    """The index with a hidden table of contents for each of its sections that lists pages."""
    sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    parts = []
    for section in sections:
        caption = section.partition("\n")[0].removeprefix("## ")
        pages = "\n".join(_ENTRY.findall(section))
        toctree = f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n\n" if pages else ""
        parts.append(section + toctree)
    return "".join(parts)


def _read(_app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = linked_to_the_repository(source[0], docname)
    if docname == "index":
        source[0] = with_contents(source[0])


def setup(app: Sphinx) -> None:
    """Take part where Sphinx reads a page."""
    app.connect("source-read", _read)
