"""The dashboard's own themes, and the colours of runs that any other theme falls back on.

Runs take the colour-blind-safe palette of Okabe and Ito (jfly.uni-koeln.de/color), a lighter and a darker one.
"""

from collections.abc import Mapping

from textual.theme import Theme

RUN_COLOURS = 6
"""Colours that runs take in turn, `$run-0` to `$run-5`."""

MUTED = "$foreground 60%"
"""What is read last. In text, Textual's own `$text-muted` would lose its transparency."""

_ON_DARK = ("#56B4E9", "#E69F00", "#3CC9A0", "#DD8CB9", "#F0E442", "#EE7B3E")
_ON_LIGHT = ("#0072B2", "#A86E00", "#00795A", "#A8437C", "#7D6F00", "#B84A00")

DARK = Theme(
    name="simclr-dark",
    primary="#56B4E9",
    secondary="#7FA3C2",
    accent="#E69F00",
    warning="#E8B04B",
    error="#F2777A",
    success="#7CCF9B",
    foreground="#D5DDE5",
    background="#0E1318",
    surface="#141A21",
    panel="#1E2731",
    dark=True,
    variables={"border": "#33404D", "border-blurred": "#33404D"},
)

LIGHT = Theme(
    name="simclr-light",
    primary="#0072B2",
    secondary="#44637D",
    accent="#A86E00",
    warning="#A86E00",
    error="#B3261E",
    success="#00795A",
    foreground="#1D242B",
    background="#F6F7F8",
    surface="#FFFFFF",
    panel="#E4E8EC",
    dark=False,
    variables={"border": "#B9C2CB", "border-blurred": "#B9C2CB"},
)


def run_variables(*, dark: bool) -> Mapping[str, str]:
    """The colours of runs as theme variables; a theme that names them itself wins."""
    colours = {f"run-{number}": colour for number, colour in enumerate(_ON_DARK if dark else _ON_LIGHT)}
    return colours | {"second-curve": "#A9B7C4" if dark else "#55636F"}
