"""A screen without any colour (NO_COLOR, no-color.org): bold and underlined text stay, what stood out is reversed."""

from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_STANDS_OUT = 0.1
"""Difference of a primary colour to the background from which on a ground means something, as that of a cursor."""


class Colourless(LineFilter):
    """Takes every colour away."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments of a line on a background."""
        return [Segment(text, _plain(style, background) if style else None, None) for text, style, _ in segments]


@lru_cache(4096)
def _plain(style: Style, background: Color) -> Style:
    ground = style.bgcolor
    stands_out = ground is not None and not ground.is_default and _differs(ground, background)
    return Style(
        bold=style.bold,
        italic=style.italic,
        underline=style.underline,
        strike=style.strike,
        reverse=bool(style.reverse) != stands_out or None,
        meta=style.meta or None,
    )


def _differs(ground: RichColor, background: Color) -> bool:
    pairs = zip(Color.from_rich_color(ground).normalized, background.normalized, strict=True)
    return any(abs(one - other) > _STANDS_OUT for one, other in pairs)
