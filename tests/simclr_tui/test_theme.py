"""Colours come from the theme, and every state has one of its own beside its sign."""

import re
from importlib import resources

import pytest
from textual.color import Color
from textual.theme import Theme

from simclr_tui.theme import RUN_COLOURS, grounds, run_variables
from simclr_tui.themes import DARK, LIGHT, OWN, SIXTEEN, SIXTEEN_LIGHT, fitting
from simclr_tui.words import STATE_STYLES
from trainer.state import STATES

TCSS = resources.files("simclr_tui").joinpath("app.tcss").read_text(encoding="utf-8")
DRAWN_PROPERTIES = ("color", "background", "border", "border-title-color", "border-subtitle-color")


def contrast(one: Color, other: Color) -> float:
    """Contrast ratio of two colours (WCAG 2.2, 1.4.3)."""

    def luminance(colour: Color) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour.normalized]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_style_sheet_names_theme_variables_only() -> None:
    found = re.findall(rf"\b({'|'.join(DRAWN_PROPERTIES)}):\s*([^;]+);", TCSS)
    assert len(found) > 40
    for name, value in found:
        words = [word for word in value.split() if word not in ("none", "round", "heavy", "transparent")]
        assert all(word.startswith("$") or word.endswith("%") for word in words), (name, value)


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_curves_can_be_told_from_the_background(theme: object) -> None:
    assert theme in (DARK, LIGHT)
    ground = Color.parse((DARK if theme is DARK else LIGHT).background or "")
    colours = run_variables(dark=theme is DARK)
    assert {f"run-{number}" for number in range(RUN_COLOURS)} < set(colours)
    for name, colour in colours.items():
        assert contrast(Color.parse(colour), ground) > 3, name


def test_every_state_has_a_style() -> None:
    assert set(STATE_STYLES) == set(STATES)
    for state in STATES:
        assert f".run-table--{state} " in TCSS


@pytest.mark.parametrize(("dark", "number"), [(True, 0), (None, 0), (False, 1)])
def test_a_terminal_gets_the_theme_for_its_background_and_its_colours(dark: bool | None, number: int) -> None:
    assert fitting(dark=dark, few_colours=False) == (DARK.name, LIGHT.name)[number]
    assert fitting(dark=dark, few_colours=True) == (SIXTEEN.name, SIXTEEN_LIGHT.name)[number]


@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
def test_every_colour_that_the_style_sheet_names_is_there_in_every_theme(theme: Theme) -> None:
    known = {**run_variables(dark=theme.dark), **grounds(theme), **theme.to_color_system().generate()}
    known |= theme.variables
    assert set(re.findall(r"\$([\w-]+)", TCSS)) <= set(known)
    if theme.ansi:
        own = {**grounds(theme), **theme.variables}
        assert all(colour.startswith("ansi_") for colour in own.values()), "only the terminal's own colours"


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_words_can_be_read_on_every_ground(theme: Theme) -> None:
    ink = Color.parse(theme.foreground or "")
    names = ("foreground", "primary", "secondary", "accent", "warning", "error", "success")
    colours = {name: Color.parse(getattr(theme, name)) for name in names}
    colours |= {name: Color.parse(colour) for name, colour in run_variables(dark=theme.dark).items()}
    for ground in (
        Color.parse(theme.background or ""),
        Color.parse(theme.panel or ""),
        Color.parse(theme.surface or ""),
    ):
        for name, colour in {**colours, "muted": ground.blend(ink, 0.6)}.items():
            assert contrast(colour, ground) >= 4.5, (name, ground)
    for name, thinned in grounds(theme).items():
        base = Color.parse(theme.background or "")
        named, _, part = thinned.partition(" ")
        mixed = base.blend(Color.parse(named), float(part.rstrip("%")) / 100)
        assert contrast(ink, mixed) >= 4.5, name
