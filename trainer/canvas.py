"""What charts share: colours and marks, text that fits, and files with the same bytes for the same figures.

matplotlib is imported late and without pyplot, so nothing of it lives on between two charts, and a person's own
matplotlibrc has no part in them. Colours are those of Okabe and Ito ("Color universal design", 2008) without their
yellow, which is hard to see on white; people with colour blindness tell them apart, and markers, dashes and hatches
say the same once more.
"""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "ooo", "+++", "---")
DASHES = ("--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
GREY, PALE = "#666666", "#CCCCCC"
_DPI = 150
_NAME_LETTERS = 28
"""Letters of a line of the legend."""
_TITLE_LETTERS_PER_INCH = 9
_SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "simclr-tui",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def check_suffix(path: Path) -> None:
    """See that a chart can be written as a file of that name.

    Raises:
        UsageError: its suffix is neither .svg nor .png.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} is no name for a chart; give one that ends in {' or '.join(SUFFIXES)}")


@contextmanager
def drawing(title: str, path: Path, *, width_inches: float, height_inches: float = 4.5) -> "Iterator[Axes]":
    """Axes to draw on; written to the path at the end."""
    with sheet(path, width_inches=width_inches, height_inches=height_inches) as figure:
        axes = figure.add_subplot()
        axes.set_title(wrapped(title, int(_TITLE_LETTERS_PER_INCH * width_inches)), loc="left")
        yield axes


@contextmanager
def sheet(path: Path, *, width_inches: float, height_inches: float) -> "Iterator[Figure]":
    """An empty figure to put axes on; written to the path at the end."""
    import matplotlib
    from matplotlib.figure import Figure

    from trainer.durable import write_durably

    is_svg = path.suffix.lower() == ".svg"
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        figure = Figure(figsize=(width_inches, height_inches), dpi=_DPI)
        yield figure
        buffer = io.BytesIO()
        nothing_of_today = {"Date": None} if is_svg else {"Software": None}
        figure.savefig(buffer, format="svg" if is_svg else "png", metadata=nothing_of_today)
    write_durably(path, buffer.getvalue())


def legend(axes: "Axes", entries: "Sequence[tuple[Artist, str]]") -> None:
    """Names beside the axes, where they hide nothing."""
    handles, names = zip(*entries, strict=True)
    texts = [wrapped(name, _NAME_LETTERS) for name in names]
    axes.legend(handles, texts, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, markerscale=1.5)


def wrapped(text: str, letters: int) -> str:
    """The text in lines of so many letters; what no font or SVG can hold becomes a space."""
    return "\n".join(textwrap.wrap("".join(letter if letter.isprintable() else " " for letter in text), letters))
