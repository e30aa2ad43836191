"""The site is made strictly; `python -m tests` makes the whole of it, here a small one shows what is refused."""

import re
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="needs the extra docs")

from docs.build import DOCS, command
from docs.conf import linked_to_the_repository, with_contents

GOOD = {
    "index.md": "# Pages\n\n## First\n\n- [A page](page.md): what it is about\n- [Another](deep/other.md)\n",
    "page.md": "# A page\n\nSee [it](deep/other.md#a-heading) and [the licence](../LICENSE); --views is an option.\n",
    "deep/other.md": "# Another\n\n## A heading\n\nBack to [the first](../page.md).\n",
}


def site(folder: Path, pages: dict[str, str]) -> tuple[int, str]:
    """Sphinx's exit code for some pages, and what it says."""
    for name, text in pages.items():
        path = folder / "pages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run(command(folder / "pages", folder / "out"), capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_pages_become_a_site_with_the_lists_of_the_index_as_its_contents(tmp_path: Path) -> None:
    assert site(tmp_path, GOOD) == (0, "")
    html = (tmp_path / "out" / "page.html").read_text()
    assert re.search(r'class="caption".*First', html)
    assert re.search(r'class="toctree-l1"><a [^>]*href="deep/other.html">Another', html)
    assert 'href="deep/other.html#a-heading"' in html
    assert "--views is an option" in html
    assert 'href="https://github.com/simclr-tui/simclr-tui/blob/main/LICENSE"' in html


def test_links_to_nowhere_and_pages_in_no_contents_are_refused(tmp_path: Path) -> None:
    wrong = {
        "page.md": "# A page\n\n[no page](nowhere.md), [no heading](deep/other.md#nothing), [no file](../NOTHING).\n",
        "lost.md": "# In no list\n",
        "picture.md": "# A picture\n\n![nothing](nothing.svg)\n",
    }
    code, said = site(tmp_path, GOOD | wrong)
    assert code != 0
    for words in ("nowhere.md", "'deep/other': 'nothing'", "there is no ../NOTHING", "lost.md", "nothing.svg"):
        assert words in said


def test_every_page_is_in_the_index() -> None:
    listed = re.findall(r"^- \[[^]]+\]\(([^)]+)\)", (DOCS / "index.md").read_text(), flags=re.MULTILINE)
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert pages - {"index.md"} == set(listed)
    assert len(listed) == len(set(listed))


def test_links_within_the_pages_stay_and_sections_without_pages_get_no_contents() -> None:
    assert linked_to_the_repository("[x](../store.md)", "reference/tables") == "[x](../store.md)"
    assert linked_to_the_repository("[x](store.md#a)", "index") == "[x](store.md#a)"
    text = "# Title\n\n- [not a page](https://example.org)\n\n## Words\n\nNone.\n"
    assert with_contents(text) == text
