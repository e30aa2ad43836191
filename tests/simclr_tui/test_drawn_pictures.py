"""The Images tab in terminals that draw pictures and in others: the pixels that are read back from what was sent."""

import io
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simclr_tui.run.pictures import views_file
from simclr_tui.terminal.pixmap import Pixmap, means
from simclr_tui.terminal.placeholders import PLACEHOLDER
from tests.simclr_tui.drawing_terminal import CELL, Canvas, DrawingTerminal, answers
from trainer.store.reader import StoreReader

pytestmark = pytest.mark.screens

SIZE = (80, 24)
WORDS = "each line an image"
GRAPHICS = re.compile(rb"\x1b_G(?!i=31,s=1)|\x1bP[\d;]*q")


def views() -> Pixmap:
    """A picture as the picture process makes them, of few colours, so that Sixel's palette holds them all."""
    tiles = np.random.default_rng(3).integers(0, 8, (15, 15, 3), np.uint8) << 5
    return Pixmap(300, 300, tiles.repeat(20, 0).repeat(20, 1).tobytes())


@pytest.fixture
def drawn(runs: Path, some_runs: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder whose runs have a picture of their views."""
    monkeypatch.setenv("XDG_STATE_HOME", str(runs.parent / "state"))
    picture = views()
    reader = StoreReader.open(runs)
    for run_id in some_runs.values():
        path = views_file(runs, reader.run(run_id))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"P6 {picture.width} {picture.height} 255\n".encode() + picture.pixels)
        path.with_suffix(".txt").write_text("crop")
    reader.close()
    return runs


def open_images(terminal: DrawingTerminal) -> None:
    """Open the run and its images."""
    terminal.read_until("resting")
    terminal.press("\r")
    terminal.read_until("8 Images")
    terminal.press("8")
    terminal.read_until(WORDS)


def shows_views(pictured: NDArray[np.int16]) -> bool:
    """Whether the picture is there, whole and right."""
    height, width = pictured.shape[:2]
    if not height or height % CELL[1] or width % CELL[0] or abs(height - width) > CELL[0]:
        return False
    return bool(np.abs(pictured - means(views(), width, height)).mean() < 4)


@pytest.mark.parametrize("kind", ["kitty", "sixel"])
def test_the_picture_is_on_the_screen_goes_under_a_window_comes_back_and_leaves(kind: str, drawn: Path) -> None:
    with DrawingTerminal(drawn, kind) as terminal:
        open_images(terminal)
        terminal.wait(lambda: shows_views(terminal.canvas.pictured))
        assert terminal.canvas.pictured.shape[0] == 19 * CELL[1], "as large as there is room for"
        sent = len(terminal.output)
        terminal.press("?")
        terminal.wait(lambda: (terminal.canvas.picture == -1).all())
        terminal.press("\x1b")
        terminal.wait(lambda: shows_views(terminal.canvas.pictured))
        if kind == "kitty":
            assert not GRAPHICS.search(terminal.output[sent:]), "it is there and not sent again"
        terminal.press("6")
        terminal.wait(lambda: (terminal.canvas.picture == -1).all())
        terminal.press("8")
        terminal.wait(lambda: shows_views(terminal.canvas.pictured))
        terminal.press("\x1b")
        terminal.wait(lambda: not terminal.canvas.images and (terminal.canvas.picture == -1).all())
        terminal.press("\r8")
        terminal.wait(lambda: shows_views(terminal.canvas.pictured))
        terminal.press("q")
        terminal.wait(terminal.has_ended)
        shown = terminal.canvas
        assert not shown.images, "the terminal keeps none of ours"
        assert bool(shown.deleted) is (kind == "kitty")
        assert terminal.exit_code == 0


@pytest.mark.parametrize("kind", ["kitty", "sixel"])
def test_a_toast_covers_some_of_it_and_another_size_of_the_terminal_makes_it_anew(kind: str, drawn: Path) -> None:
    with DrawingTerminal(drawn, kind) as terminal:
        open_images(terminal)
        terminal.wait(lambda: shows_views(terminal.canvas.pictured))
        whole = terminal.canvas.picture
        terminal.press("\x1b[C")
        terminal.read_until("only picture")
        terminal.read(0.3)
        seen = terminal.canvas.picture
        assert ((seen == whole) | (seen == -1)).all(), "what is not covered stays as it was"
        assert (whole[seen == -1] >= 0).any()
        terminal.wait(lambda: shows_views(terminal.canvas.pictured))
        at = len(terminal.output)
        terminal.resize(100, 32)
        terminal.wait(lambda: shows_views(terminal.canvas.pictured) and len(terminal.canvas.pictured) == 27 * CELL[1])
        if kind == "kitty":
            assert b"a=t" not in terminal.output[at:], "the terminal scales it"


@pytest.mark.parametrize("kind", ["text", "silent"])
def test_a_terminal_that_has_not_said_that_it_can_gets_half_blocks(kind: str, drawn: Path) -> None:
    with DrawingTerminal(drawn, kind) as terminal:
        open_images(terminal)
        terminal.read_until("▀▀")
        terminal.read(0.5)
        assert not GRAPHICS.search(terminal.output)
        assert (terminal.canvas.picture == -1).all()


@pytest.mark.parametrize("way", ["sixel", "blocks"])
def test_the_settings_file_decides_where_a_terminal_lies(way: str, drawn: Path) -> None:
    file = drawn.parent / "config" / "simclr-tui" / "settings.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'graphics = "{way}"\n')
    with DrawingTerminal(drawn, "kitty") as terminal:
        open_images(terminal)
        if way == "sixel":
            terminal.wait(lambda: shows_views(terminal.canvas.pictured))
            assert b"\x1b_Ga" not in terminal.output
        else:
            terminal.read_until("▀▀")
            assert not GRAPHICS.search(terminal.output)


def test_without_colours_pictures_still_have_theirs(drawn: Path) -> None:
    with DrawingTerminal(drawn, "kitty", NO_COLOR="1") as terminal:
        open_images(terminal)
        terminal.wait(lambda: shows_views(terminal.canvas.pictured))


@pytest.mark.parametrize("kind", ["kitty", "silent"])
def test_what_is_typed_during_the_question_arrives(kind: str, drawn: Path) -> None:
    with DrawingTerminal(drawn, kind) as terminal:
        terminal.read_until("\x1b[c")
        terminal.press("?")
        terminal.wait(lambda: any("Launch a new run from a form" in line for line in terminal.canvas.lines))


def test_an_answer_that_comes_late_is_no_key_and_still_counts(drawn: Path) -> None:
    with DrawingTerminal(drawn, "silent") as terminal:
        terminal.read_until("resting", "events")
        for piece in answers("kitty").values():
            for part in (piece[:7], piece[7:]):
                terminal.press(part)
                time.sleep(0.05)
        open_images(terminal)
        terminal.wait(lambda: shows_views(terminal.canvas.pictured))
        assert not any("31" in line and "OK" in line for line in terminal.canvas.lines)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_through_tmux_kittys_graphics_reach_the_terminal_around_it(drawn: Path) -> None:
    with DrawingTerminal(drawn, "kitty", through_tmux=True) as terminal:
        open_images(terminal)
        terminal.wait(lambda: b"\x1b_Ga=p" in terminal.output and PLACEHOLDER.encode() in terminal.output)
        shown = Canvas(*SIZE)
        shown.write(b"".join(re.findall(rb"\x1b_G[^\x1b]*\x1b\\", terminal.output)))
        ((image_id, encoded),) = shown.images.items()
        with Image.open(io.BytesIO(encoded)) as image:
            assert image.tobytes() == views().pixels
        assert f"\x1b[38;5;{image_id & 0xFF}m".encode() in terminal.output, "the colour that names it"
