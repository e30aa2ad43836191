"""Every screen looks as its picture shows it, at three sizes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simclr_tui import pictures
from tests.simclr_tui.pictures import SHOTS, SIZES, read


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[Path, dict[str, str]]]:
    with pictures.scene() as made:
        yield made


SCREENS = [
    pytest.param(name, size, marks=() if size == "120x36" else pytest.mark.screens) for name in SHOTS for size in SIZES
]
"""One size of each by default; the others with the tests of the dashboard at length."""


@pytest.mark.parametrize(("name", "size"), SCREENS)
async def test_the_screen_is_as_its_picture(scene: tuple[Path, dict[str, str]], name: str, size: str) -> None:
    runs, ids = scene
    taken, known = await pictures.take(runs, ids, name, SIZES[size]), read(name, size)
    assert words(taken) == words(known), "python -m tests.simclr_tui.pictures takes it anew; look at it then"
    assert taken == known, "its colours differ"


def words(svg: str) -> list[str]:
    """The lines of text of a picture."""
    lines: dict[str, str] = {}
    for y, text in re.findall(r'<text [^>]*\by="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        lines[y] = lines.get(y, "") + text.replace("&#160;", " ")
    return list(lines.values())


def test_a_changed_screen_is_noticed() -> None:
    known = read("dashboard", "120x36")
    assert "stl10-r18" in "".join(words(known))
    assert words(known) != words(known.replace("stl10-r18", "stl10-r50"))
