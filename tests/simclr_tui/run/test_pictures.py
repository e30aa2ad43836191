"""Pixmaps: read with suspicion, fitted, and drawn as half blocks of mean colours."""

import random
import time
from pathlib import Path

import pytest

from simclr_tui.run.pictures import PictureError, fitting, half_blocks, make_pixmap, read_pixmap
from simclr_tui.terminal.pixmap import Pixmap
from trainer.store.records import Artifact


def reference(picture: Pixmap, columns: int, lines: int) -> list[list[tuple[float, ...]]]:
    """The mean of the pixels under each half cell, one after the other."""
    found = []
    for y in range(2 * lines):
        top, bottom = y * picture.height // (2 * lines), (y + 1) * picture.height // (2 * lines)
        row = []
        for x in range(columns):
            left, right = x * picture.width // columns, (x + 1) * picture.width // columns
            under = [
                picture.pixels[3 * (a * picture.width + b) : 3 * (a * picture.width + b) + 3]
                for a in range(top, max(top + 1, bottom))
                for b in range(left, max(left + 1, right))
            ]
            row.append(tuple(sum(pixel[channel] for pixel in under) / len(under) for channel in range(3)))
        found.append(row)
    return found


@pytest.mark.parametrize(("width", "height", "columns", "lines"), [(37, 23, 9, 4), (5, 5, 12, 7), (1, 1, 1, 1)])
def test_half_blocks_are_the_means_of_the_pixels_under_them(width: int, height: int, columns: int, lines: int) -> None:
    picture = Pixmap(width, height, random.Random(3).randbytes(3 * width * height))
    cells, means = half_blocks(picture, columns, lines), reference(picture, columns, lines)
    assert (len(cells), len(cells[0])) == (lines, columns)
    for y, line in enumerate(cells):
        for x, halves in enumerate(line):
            for half, mean in zip(halves, (means[2 * y][x], means[2 * y + 1][x]), strict=True):
                assert all(abs(a - b) <= 0.5 for a, b in zip(half, mean, strict=True))


@pytest.mark.parametrize(
    ("room", "fits"), [((80, 20), (40, 20)), ((10, 20), (10, 5)), ((1, 1), (1, 1))], ids=["high", "wide", "tiny"]
)
def test_a_picture_keeps_its_shape_as_a_cell_is_twice_as_high_as_wide(
    room: tuple[int, int], fits: tuple[int, int]
) -> None:
    assert fitting(Pixmap(100, 100, b""), *room) == fits


def test_it_keeps_its_shape_in_cells_of_any_other_shape_too() -> None:
    assert fitting(Pixmap(100, 100, b""), 80, 20, (10, 10)) == (20, 20)
    assert fitting(Pixmap(200, 100, b""), 80, 20, (8, 16)) == (80, 20)


def test_a_screenful_is_drawn_within_a_frame() -> None:
    picture = Pixmap(900, 600, bytes(3 * 900 * 600))
    half_blocks(picture, 10, 5)  # imports numpy
    begun = time.monotonic()
    half_blocks(picture, 200, 50)
    assert time.monotonic() - begun < 1.0, "milliseconds on a quiet machine"


@pytest.mark.parametrize(
    "data", [b"", b"P6 2 2 255\n123", b"P5 1 1 255\nabc", b"P6 a b c\n", b"P6 0 0 255\n", b"P6 -1 -1 255\nabc"]
)
def test_what_is_no_pixmap_is_a_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.ppm"
    path.write_bytes(data)
    with pytest.raises(PictureError, match="is no pixmap of ours"):
        read_pixmap(path)
    with pytest.raises(PictureError, match="can't be read"):
        read_pixmap(tmp_path / "none.ppm")


def test_a_picture_that_is_broken_or_given_up_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    artifact = Artifact(
        run_id="r", name="n", kind="picture", step=1, path="broken.png", bytes=1, sha256="a", job_id=None, at=0.0
    )
    with pytest.raises(PictureError, match="can't be read as a picture"):
        make_pixmap(tmp_path, artifact, lambda: True)
    with pytest.raises(PictureError, match="it was given up"):
        make_pixmap(tmp_path, artifact, lambda: False)
