"""Whether a terminal draws pictures, and how, by what it says of itself. Pure but for `window_cell` and `tmux_client`.

Sequences: xterm's control sequences (invisible-island.net/xterm/ctlseqs), Kitty's graphics protocol.
"""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

KITTY, SIXEL, BLOCKS = "kitty", "sixel", "blocks"
WAYS = (KITTY, SIXEL, BLOCKS)

_KITTY_TAKES = re.compile(r"\x1b_Gi=31;OK\x1b\\")
_CELL = re.compile(r"\x1b\[6;(\d+);(\d+)t")
_NAME = re.compile(r"\x1bP>\|([^\x1b]*)\x1b\\")
_REGISTERS = re.compile(r"\x1b\[\?1;0;(\d+)S")
_ATTRIBUTES = re.compile(r"\x1b\[\?([\d;]*)c")

_WITH_PLACEHOLDERS = ("kitty", "ghostty")
"""Terminals that know Kitty's placeholders; others, such as WezTerm and Konsole, know its graphics without them."""

_USUAL_CELL = (10, 20)
"""Pixels of a cell where a person says that there is Sixel and the terminal nothing: those of the VT340."""

_MOST_COLOURS = 256
_TMUX_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Graphics:
    """How a terminal draws pictures."""

    way: str
    """`kitty`, `sixel` or `blocks`."""
    cell: tuple[int, int] | None = None
    """Width and height of a cell in pixels, where they are known."""
    colours: int = _MOST_COLOURS
    """Registers of Sixel."""
    in_tmux: bool = False


def graphics(answers: str, environment: Mapping[str, str], *, wanted: str, window: tuple[int, int] | None) -> Graphics:
    """What holds.

    Args:
        answers: what the terminal has said of itself.
        environment: of this process.
        wanted: one of `WAYS`, which is not asked any further, or anything else for what the terminal says.
        window: width and height of a cell by the kernel, where it knows them.
    """
    told = _CELL.search(answers)
    cell = (int(told[2]), int(told[1])) if told and int(told[1]) and int(told[2]) else window
    registers = _REGISTERS.search(answers)
    colours = min(_MOST_COLOURS, max(2, int(registers[1]))) if registers else _MOST_COLOURS
    way = wanted if wanted in WAYS else _way(answers, environment, cell)
    if way == SIXEL:
        cell = cell or _USUAL_CELL
    return Graphics(way, cell, colours, bool(environment.get("TMUX")))


def _way(answers: str, environment: Mapping[str, str], cell: tuple[int, int] | None) -> str:
    """Kitty's where the terminal takes pictures and is known to know placeholders, else Sixel where it has that."""
    if _KITTY_TAKES.search(answers) and any(name in _named(answers, environment) for name in _WITH_PLACEHOLDERS):
        return KITTY
    has_sixel = any("4" in found[1].split(";")[1:] for found in _ATTRIBUTES.finditer(answers))
    return SIXEL if has_sixel and cell else BLOCKS


def _named(answers: str, environment: Mapping[str, str]) -> str:
    """The terminal's name in small letters, by its own answer, else by what it has told its programs."""
    if environment.get("TMUX"):
        return tmux_client().lower()
    told = _NAME.search(answers)
    return (told[1] if told else f"{environment.get('TERM', '')} {environment.get('TERM_PROGRAM', '')}").lower()


def tmux_client() -> str:
    """What tmux knows of the terminal around it; takes some milliseconds, and "" where tmux tells nothing."""
    try:
        words = ["tmux", "display-message", "-p", "#{client_termtype} #{client_termname}"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_TMUX_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def window_cell(descriptor: int) -> tuple[int, int] | None:
    """Width and height of a cell in pixels as the kernel knows them of a terminal; None where it does not."""
    try:
        import fcntl
        import struct
        import termios

        found = fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8))
        lines, columns, width, height = struct.unpack("HHHH", found)
    except (ImportError, OSError, ValueError):
        return None
    return (width // columns, height // lines) if lines and columns and width >= columns and height >= lines else None
