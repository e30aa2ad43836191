"""The dashboard's own themes, and which of them a terminal gets.

Where a terminal has 16 colours they are its own, so that they go with whatever background it has.
"""

from textual.theme import BUILTIN_THEMES, Theme


def _runs(*colours: str) -> dict[str, str]:
    """The colours of runs by a terminal's own names."""
    return {f"run-{number}": f"ansi_{colour}" for number, colour in enumerate(colours)} | {
        "second-curve": "ansi_default"
    }


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
    primary="#0069A6",
    secondary="#44637D",
    accent="#8A5A00",
    warning="#8A5A00",
    error="#B3261E",
    success="#00735A",
    foreground="#0C1014",
    background="#F6F7F8",
    surface="#FFFFFF",
    panel="#E4E8EC",
    dark=False,
    variables={"border": "#B9C2CB", "border-blurred": "#B9C2CB"},
)


SIXTEEN = Theme(
    name="simclr-16",
    primary="ansi_bright_cyan",
    secondary="ansi_cyan",
    accent="ansi_bright_yellow",
    warning="ansi_yellow",
    error="ansi_bright_red",
    success="ansi_bright_green",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    dark=True,
    ansi=True,
    variables={
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        **_runs("bright_cyan", "yellow", "bright_green", "bright_magenta", "bright_yellow", "bright_red"),
        "border": "ansi_bright_black",
        "border-blurred": "ansi_bright_black",
        "block-cursor-foreground": "ansi_black",
        "block-cursor-background": "ansi_white",
        "block-cursor-blurred-foreground": "ansi_black",
        "block-cursor-blurred-background": "ansi_white",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
    },
)

SIXTEEN_LIGHT = Theme(
    name="simclr-16-light",
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_magenta",
    warning="ansi_red",
    error="ansi_red",
    success="ansi_green",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    dark=False,
    ansi=True,
    variables={
        "ansi-background": "ansi_white",
        "ansi-foreground": "ansi_black",
        **_runs("blue", "red", "green", "magenta", "cyan", "bright_red"),
        "border": "ansi_bright_black",
        "border-blurred": "ansi_bright_black",
        "block-cursor-foreground": "ansi_bright_white",
        "block-cursor-background": "ansi_blue",
        "block-cursor-blurred-foreground": "ansi_bright_white",
        "block-cursor-blurred-background": "ansi_blue",
        "input-cursor-background": "ansi_black",
        "input-cursor-foreground": "ansi_bright_white",
    },
)

OWN = (DARK, LIGHT, SIXTEEN, SIXTEEN_LIGHT)
"""The themes of the dashboard itself."""


def theme_names() -> tuple[str, ...]:
    """Every theme that there is, the dashboard's own first."""
    return (*(theme.name for theme in OWN), *BUILTIN_THEMES)


def fitting(*, dark: bool | None, few_colours: bool) -> str:
    """The theme for a terminal: with a dark background unless it is known to be light, and with its colours."""
    if few_colours:
        return (SIXTEEN_LIGHT if dark is False else SIXTEEN).name
    return (LIGHT if dark is False else DARK).name
