"""Pictures for the screen of a run: made by processes of their own, kept, and drawn as half blocks.

What is made lies in the user's state folder, named after what it is made of, so that a run whose recipe was changed
gets another picture.
"""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from simclr_tui.keys import key
from simclr_tui.remembered import state_folder
from simclr_tui.terminal.pixmap import Pixmap, means
from trainer.store.records import Artifact, Run

_SECONDS = 180.0
_POLL_SECONDS = 0.1
_LARGEST_BYTES = 16 << 20

Cells = list[list[tuple[tuple[int, int, int], tuple[int, int, int]]]]
"""Lines of cells, each the colour of its upper and of its lower half."""


class PictureError(Exception):
    """A picture can't be made or read; the text is a sentence."""


def _again() -> str:
    """How a picture is made anew."""
    return f"{key('m', 'images.make')} makes it again"


def views_file(runs: Path, run: Run) -> Path:
    """Where the picture of a run's views is kept."""
    return _kept(f"{runs.resolve()}\n{run.id}\n{run.config}")


def artifact_file(artifact: Artifact) -> Path:
    """Where the pixmap of a picture that an evaluation made is kept."""
    return _kept(artifact.sha256)


def _kept(what: str) -> Path:
    return state_folder() / "pictures" / f"{hashlib.sha256(what.encode()).hexdigest()[:24]}.ppm"


def make_views(runs: Path, run: Run, goes_on: Callable[[], bool]) -> Path:
    """Make the picture of a run's views; `goes_on` is asked whether it is still wanted.

    Raises:
        PictureError: it could not be made.
    """
    path = views_file(runs, run)
    words = _raster(path, ["--run", run.id, "--runs-dir", str(runs)], goes_on)
    path.with_suffix(".txt").write_text(words, encoding="utf-8")
    return path


def make_pixmap(runs: Path, artifact: Artifact, goes_on: Callable[[], bool]) -> Path:
    """Make the pixmap of a picture that an evaluation made, unless it is there.

    Raises:
        PictureError: it could not be made.
    """
    path = artifact_file(artifact)
    if not path.exists():
        _raster(path, ["--picture", str(runs / artifact.path)], goes_on)
    return path


def _raster(path: Path, words: list[str], goes_on: Callable[[], bool]) -> str:
    """Run the program that makes pixmaps, and give back what it said."""
    command = [sys.executable, "-m", "trainer.raster", "--out", str(path), *words]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise PictureError(f"{path.parent} can't be used ({error.strerror}); free some space") from error
    with process:
        until = time.monotonic() + _SECONDS
        while process.poll() is None:
            if not goes_on() or time.monotonic() > until:
                process.kill()
                process.communicate()
                raise PictureError(f"it took more than {_SECONDS:.0f} s, so it was given up; m tries again")
            time.sleep(_POLL_SECONDS)
        out, said = process.communicate()
    if process.returncode:
        last = said.strip().splitlines()[-1:] or [f"it ended with {process.returncode}"]
        raise PictureError(last[0].removeprefix("simclr-tui: "))
    return out.strip()


def read_pixmap(path: Path) -> Pixmap:
    """A pixmap that was made before.

    Raises:
        PictureError: it is none.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise PictureError(f"{path} is too large for a picture of ours; remove it")
        header, _, pixels = path.read_bytes().partition(b"\n")
        magic, width, height, most = header.split()
        found = Pixmap(int(width), int(height), pixels)
    except OSError as error:
        raise PictureError(f"{path} can't be read ({error.strerror}); {_again()}") from error
    except ValueError as error:
        raise PictureError(f"{path} is no pixmap of ours; {_again()}") from error
    is_whole = found.width > 0 and found.height > 0 and len(pixels) == 3 * found.width * found.height
    if magic != b"P6" or most != b"255" or not is_whole:
        raise PictureError(f"{path} is no pixmap of ours; {_again()}")
    return found


def fitting(picture: Pixmap, columns: int, lines: int, cell: tuple[float, float] = (1, 2)) -> tuple[int, int]:
    """Columns and lines of cells, as many as fit, that keep a picture's shape.

    Args:
        picture: the picture.
        columns: how many there are.
        lines: how many there are.
        cell: width and height of a cell in any unit; it is twice as high as wide unless the terminal says otherwise.
    """
    wide, high = cell
    scale = min(columns * wide / picture.width, lines * high / picture.height)
    return max(1, int(picture.width * scale / wide)), max(1, int(picture.height * scale / high))


def prepare() -> None:
    """Import what drawing needs, in a thread, since that takes longer than a key may."""
    import numpy as np

    np.zeros(1)


def half_blocks(picture: Pixmap, columns: int, lines: int) -> Cells:
    """A picture as cells of two colours, each the mean of the pixels that lie under it."""
    levels = means(picture, columns, 2 * lines).tolist()
    return [
        [(tuple(above), tuple(below)) for above, below in zip(levels[y], levels[y + 1], strict=True)]
        for y in range(0, 2 * lines, 2)
    ]
