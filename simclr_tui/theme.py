"""The colours that go with every theme: of runs, of what is read last, of lines and parts. Imports no Textual.

Runs take the colour-blind-safe palette of Okabe and Ito (jfly.uni-koeln.de/color), a lighter and a darker one.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.theme import Theme

RUN_COLOURS = 6
"""Colours that runs take in turn, `$run-0` to `$run-5`."""

MUTED = "$foreground 60%"
"""What is read last. In text, Textual's own `$text-muted` would lose its transparency."""

_ON_DARK = ("#56B4E9", "#E69F00", "#3CC9A0", "#DD8CB9", "#F0E442", "#EE7B3E")
_ON_LIGHT = ("#0069A6", "#8A5A00", "#00735A", "#9E3D74", "#6E6200", "#A84300")


def cursor_style(theme: "Theme") -> str:
    """How a line of text is marked that the cursor stands on."""
    return "reverse" if theme.ansi else "on $primary 22%"


def run_variables(*, dark: bool) -> Mapping[str, str]:
    """The colours of runs as theme variables; a theme that names them itself wins."""
    colours = {f"run-{number}": colour for number, colour in enumerate(_ON_DARK if dark else _ON_LIGHT)}
    return colours | {"second-curve": "#A9B7C4" if dark else "#55636F"}


def grounds(theme: "Theme") -> Mapping[str, str]:
    """Backgrounds that mean something, as theme variables: a theme's colours thinned out.

    A terminal's own colours can't be thinned out: there the line of a cursor is reversed, and parts have others.
    """
    if theme.ansi:
        dim = "ansi_bright_black" if theme.dark else "ansi_white"
        parts = ("ansi_blue", dim, "ansi_green", dim) if theme.dark else ("ansi_cyan", dim, "ansi_green", dim)
        lines = {"cursor-line": "ansi_default", "wrong-line": "ansi_red"}
    else:
        primary, success = theme.primary, theme.success or theme.primary
        parts = (f"{primary} 45%", f"{primary} 25%", f"{success} 25%", f"{success} 45%")
        lines = {"cursor-line": f"{primary} 22%", "wrong-line": f"{theme.error or primary} 25%"}
    return lines | {f"part-{number}": colour for number, colour in enumerate(parts)}
