"""A terminal that draws pictures, as slowly and plainly as can be: pixels, Kitty's images, and answers to questions."""

import base64
import codecs
import io
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.cells import get_character_cell_size

from simclr_tui.terminal.placeholders import PLACEHOLDER, part
from tests.simclr_tui.pseudo_terminal import Terminal

CELL = (8, 16)
"""Pixels of a cell."""

QUESTIONS = {
    "background": "\x1b]11;?\a",
    "kitty": "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\",
    "name": "\x1b[>q",
    "registers": "\x1b[?1;1;0S",
    "cell": "\x1b[16t",
    "who": "\x1b[c",
}
_SAID = {
    "kitty": {"kitty": "\x1b_Gi=31;OK\x1b\\", "name": "\x1bP>|kitty(0.35.2)\x1b\\", "who": "\x1b[?62;c"},
    "sixel": {"name": "\x1bP>|XTerm(388)\x1b\\", "registers": "\x1b[?1;0;256S", "who": "\x1b[?63;1;2;4;22c"},
    "text": {"name": "\x1bP>|VTE(7600)\x1b\\", "who": "\x1b[?61;1;22c"},
    "silent": {},
}


def answers(kind: str) -> dict[str, str]:
    """What a terminal answers to which question."""
    cell = {} if kind == "silent" else {"cell": f"\x1b[6;{CELL[1]};{CELL[0]}t"}
    return {QUESTIONS[name]: answer for name, answer in {**_SAID[kind], **cell}.items()}


class DrawingTerminal(Terminal):
    """The real program in a terminal that answers as one of `kitty`, `sixel`, `text`, or never (`silent`)."""

    def __init__(
        self,
        runs: Path,
        kind: str,
        *,
        size: tuple[int, int] = (80, 24),
        through_tmux: bool = False,
        **environment: str | None,
    ) -> None:
        """Starts `simclr-tui` on a runs folder, with tmux in between if that is wanted."""
        self._answers: Mapping[str, str] = answers(kind)
        self._looked_at = self._drawn = 0
        self._canvas = Canvas(*size)
        self._tmux: list[str] = []
        if through_tmux:
            configuration = runs.parent / "tmux.conf"
            configuration.write_text("set -g allow-passthrough on\n")
            name = f"drawing-{os.getpid()}-{time.monotonic_ns()}"
            self._tmux = [shutil.which("tmux") or "tmux", "-L", name, "-f", str(configuration)]
        super().__init__(runs, size=size, words=(), **environment)

    def _program(self, runs: Path, words: tuple[str, ...]) -> list[str]:
        program = super()._program(runs, words)
        return [*self._tmux, "new-session", *program] if self._tmux else program

    @property
    def canvas(self) -> "Canvas":
        """What it shows by now."""
        self._canvas.write(self.output[self._drawn :])
        self._drawn = len(self.output)
        return self._canvas

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size; what it showed is gone, but not the pictures that it keeps."""
        before, self._canvas = self.canvas, Canvas(width, height)
        self._canvas.images, self._canvas.placements = before.images, before.placements
        super().resize(width, height)

    def close(self) -> None:
        """End it, and tmux's server."""
        if self._tmux:
            socket = ["display-message", "-p", "#{socket_path}"]
            left = subprocess.run([*self._tmux, *socket], check=False, capture_output=True, text=True).stdout.strip()
            subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)
            Path(left or "/none").unlink(missing_ok=True)
        super().close()

    def read(self, seconds: float, *, at_most: int = 1 << 20) -> bytes:
        """What it writes in a while; questions in it are answered, in their order and only once each."""
        found = super().read(seconds, at_most=at_most)
        new = self.output[self._looked_at :].decode("utf-8", "ignore")
        asked = sorted((new.find(question), question) for question in self._answers if question in new)
        if asked:
            self._looked_at = len(self.output)
            self.press("".join(self._answers[question] for _, question in asked))
        return found


_PIECE = re.compile(
    r"\x1b\[(?P<y>\d+);(?P<x>\d+)H|\x1b\[(?P<sgr>[\d;]*)m|\x1b\[[\d;?<>=$]*[a-zA-Z]|\x1b\][^\a\x1b]*(?:\a|\x1b\\)"
    r"|\x1bP(?P<dcs>[^\x1b]*)\x1b\\|\x1b_G(?P<apc>[^\x1b]*)\x1b\\|(?P<text>.)",
    re.DOTALL,
)


_UNFINISHED = re.compile(r"\x1b(?:\[[\d;?<>=$]*|\][^\a\x1b]*\x1b?|[P_][^\x1b]*\x1b?)?\Z")


class Canvas:
    """What a terminal shows of what was written to it, as pixels; a pixel of text or of nothing is -1."""

    def __init__(self, width: int, height: int, cell: tuple[int, int] = CELL) -> None:
        """An empty one of so many cells."""
        self.width, self.height, self.cell = width, height, cell
        self.cells = [[" "] * width for _ in range(height)]
        self.colours = [[0] * width for _ in range(height)]
        self.pixels_HWC: NDArray[np.int16] = np.full((height * cell[1], width * cell[0], 3), -1, np.int16)
        self.images: dict[int, bytes] = {}
        """Encoded pictures by their ids, as Kitty's terminal keeps them."""
        self.placements: dict[int, tuple[int, int]] = {}
        """Columns and lines."""
        self.deleted: list[int] = []
        self._open: int | None = None
        self._decode = codecs.getincrementaldecoder("utf-8")("ignore").decode
        self._begun = ""
        self._x = self._y = self._colour = 0

    def write(self, written: bytes) -> None:
        """Do what was written; a sequence may come in parts."""
        text = self._begun + self._decode(written)
        unfinished = _UNFINISHED.search(text)
        end = unfinished.start() if unfinished else len(text)
        self._begun = text[end:]
        for found in _PIECE.finditer(text[:end]):
            if found["x"]:
                self._x, self._y = int(found["x"]) - 1, int(found["y"]) - 1
            elif found["sgr"] is not None:
                numbers = [int(number or 0) for number in found["sgr"].split(";")]
                indexed = re.search(r"38;5;(\d+)", found["sgr"])
                self._colour = int(indexed[1]) if indexed else 0 if 0 in numbers[:1] else self._colour
            elif found["dcs"] is not None:
                self._paint(found["dcs"])
            elif found["apc"] is not None:
                self._take(found["apc"])
            elif (found["text"] and found["text"].isprintable()) or found["text"] == PLACEHOLDER:
                self._put(found["text"])

    def _put(self, character: str) -> None:
        width = get_character_cell_size(character)
        if not width and self._x:
            self.cells[self._y][self._x - 1] += character
        for text in (character, "")[:width]:
            if self._x < self.width:
                self.cells[self._y][self._x], self.colours[self._y][self._x] = text, self._colour
                self._area(self._x, self._y)[:] = -1
            self._x += 1

    def _area(self, x: int, y: int) -> NDArray[np.int16]:
        wide, high = self.cell
        return self.pixels_HWC[y * high : (y + 1) * high, x * wide : (x + 1) * wide]

    def _paint(self, dcs: str) -> None:
        """Sixel at the cursor."""
        head, _, body = dcs.partition("q")
        if not re.fullmatch(r"[\d;]*", head):
            return
        painted = decode_sixel(body)
        assert self._y * self.cell[1] + painted.shape[0] < self.pixels_HWC.shape[0], "the terminal would scroll"
        there = self.pixels_HWC[self._y * self.cell[1] :, self._x * self.cell[0] :]
        there = there[: painted.shape[0], : painted.shape[1]]
        assert there.shape == painted.shape, "it would be cut off"
        there[painted >= 0] = painted[painted >= 0]
        self._x = self._y = 0  # terminals leave the cursor in different places

    def _take(self, apc: str) -> None:
        """A sequence of Kitty's."""
        keys, _, payload = apc.partition(";")
        values = dict(pair.split("=", 1) for pair in keys.split(","))
        if values.get("a") == "q":
            return
        assert values["q"] == "2", "nothing may be answered"
        if "a" not in values:  # a part of the picture before
            assert self._open is not None, "the protocol knows one picture at a time"
            self.images[self._open] += base64.b64decode(payload)
        elif values["a"] == "t":
            assert self._open is None, "the protocol knows one picture at a time"
            assert len(payload) <= 4096
            self._open = int(values["i"])
            self.images[self._open] = base64.b64decode(payload)
        elif values["a"] == "p":
            self.placements[int(values["i"])] = (int(values["c"]), int(values["r"]))
        elif values["a"] == "d":
            self.deleted.append(int(values["i"]))
            self.images.pop(int(values["i"]), None)
        if values.get("m") == "0":
            self._open = None

    @property
    def picture(self) -> NDArray[np.int16]:
        """What a person sees of pictures: Sixel's pixels, and Kitty's images where their placeholders are."""
        seen, (wide, high) = self.pixels_HWC.copy(), self.cell
        whole = {image_id: self._scaled(image_id) for image_id in self.images.keys() & self.placements.keys()}
        for y, line in enumerate(self.cells):
            for x, cell in enumerate(line):
                if found := part(cell):
                    number, column, row = found
                    image = whole.get(number << 24 | self.colours[y][x])
                    if image is not None:
                        area = image[row * high : (row + 1) * high, column * wide : (column + 1) * wide]
                        seen[y * high : (y + 1) * high, x * wide : (x + 1) * wide] = area
        return seen

    def _scaled(self, image_id: int) -> NDArray[np.uint8] | None:
        """An image as large as its cells are; None as long as some of it is on its way."""
        if self._open == image_id:
            return None
        columns, lines = self.placements[image_id]
        with Image.open(io.BytesIO(self.images[image_id])) as image:
            size = (columns * self.cell[0], lines * self.cell[1])
            return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BOX))

    @property
    def pictured(self) -> NDArray[np.int16]:
        """The smallest rectangle that holds every pixel of pictures."""
        seen = self.picture
        is_there: NDArray[np.bool_] = np.all(seen >= 0, axis=2)
        rows, columns = np.flatnonzero(is_there.any(axis=1)), np.flatnonzero(is_there.any(axis=0))
        return seen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else seen[:0, :0]

    @property
    def lines(self) -> list[str]:
        """The text that a person sees."""
        return ["".join(" " if cell.startswith(PLACEHOLDER) else cell for cell in line) for line in self.cells]


def decode_sixel(body: str) -> NDArray[np.int16]:
    """Pixels of what follows Sixel's `q`, one character after the other; -1 where nothing is set."""
    raster = re.match(r'"(\d+);(\d+);(\d+);(\d+)', body)
    assert raster is not None
    width, height = int(raster[3]), int(raster[4])
    pixels: NDArray[np.int16] = np.full((height + 6, width, 3), -1, np.int16)
    palette: dict[int, Sequence[int]] = {}
    x, top, colour, at = 0, 0, 0, raster.end()
    while at < len(body):
        if found := re.compile(r"#(\d+);2;(\d+);(\d+);(\d+)").match(body, at):
            palette[int(found[1])] = [round(int(found[n]) * 255 / 100) for n in (2, 3, 4)]
        elif found := re.compile(r"#(\d+)").match(body, at):
            colour = int(found[1])
        elif found := re.compile(r"\$").match(body, at):
            x = 0
        elif found := re.compile(r"-").match(body, at):
            x, top = 0, top + 6
        else:
            found = re.compile(r"(?:!(\d+))?([?-~])").match(body, at)
            assert found is not None, body[at : at + 20]
            repeated = int(found[1] or 1)
            for bit in range(6):
                if (ord(found[2]) - 63) >> bit & 1:
                    pixels[top + bit, x : x + repeated] = palette[colour]
            x += repeated
        at = found.end()
    assert (pixels[height:] == -1).all(), "pixels below the last line"
    return pixels[:height]
