"""Pictures of images: contact sheets as PNG files, and images in a terminal.

Shape suffixes: C H W an image.
"""

import io
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text
from torch import Tensor

from trainer.durable import write_durably

RAMP = " .:-=+*#%@"
"""From dark to light on a dark terminal, for where there are no colours."""

_VISIBLE_PIXELS = 112
"""Images of a smaller side are enlarged to at least so many pixels."""
_GAP_PIXELS = 4
_FONT_PIXELS = 13
_CAPTION_PIXELS = 180
_PAPER, _INK = (255, 255, 255), (40, 40, 40)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Pixel = tuple[int, int, int]


def sheet(
    rows: Sequence[Sequence[Tensor] | Tensor],
    *,
    captions: Sequence[str] = (),
    headings: Sequence[str] = (),
    scale: int | None = None,
) -> Image.Image:
    """A contact sheet: rows of images with a thin gap between them.

    Args:
        rows: images, uint8 (3, H, W), all of the same size; a row may be shorter than others, or be one tensor.
        captions: what is written before each row, shortened where it is long.
        headings: what is written above each column.
        scale: whole number by which images are enlarged, each pixel to a square; by default enough to see them.

    Returns:
        An RGB picture.
    """
    height, width = rows[0][0].shape[1:]
    scale = scale or -(-_VISIBLE_PIXELS // max(height, width))
    height, width = height * scale, width * scale
    font = ImageFont.load_default(_FONT_PIXELS)
    before = [_shortened(caption, _CAPTION_PIXELS, font) for caption in captions]
    above = [_shortened(heading, width, font) for heading in headings]
    left = _GAP_PIXELS + (round(max(map(font.getlength, before))) + 2 * _GAP_PIXELS if before else 0)
    top = _GAP_PIXELS + (_FONT_PIXELS + _GAP_PIXELS if above else 0)
    xs = range(left, left + max(map(len, rows)) * (width + _GAP_PIXELS), width + _GAP_PIXELS)
    ys = range(top, top + len(rows) * (height + _GAP_PIXELS), height + _GAP_PIXELS)
    page = Image.new("RGB", (xs.stop, ys.stop), _PAPER)
    draw = ImageDraw.Draw(page)
    for x, heading in zip(xs, above, strict=False):
        draw.text((x + width // 2, top - _GAP_PIXELS), heading, _INK, font, anchor="mb")
    for y, caption in zip(ys, before, strict=False):
        draw.text((_GAP_PIXELS, y + height // 2), caption, _INK, font, anchor="lm")
    for y, row in zip(ys, rows, strict=True):
        for x, image in zip(xs, row, strict=False):
            page.paste(to_pil(image).resize((width, height), Image.Resampling.NEAREST), (x, y))
    return page


def to_pil(image_u8_CHW: Tensor) -> Image.Image:
    """An image of uint8 (3, H, W), on any device, as an RGB picture."""
    return Image.fromarray(image_u8_CHW.permute(1, 2, 0).contiguous().cpu().numpy())


def save_png(image: Image.Image, path: Path) -> None:
    """Write a picture so that a crash leaves the old file or the new one, never a part.

    Raises:
        OSError: the folder is not there, or the disk refused; what was there before is untouched.
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_durably(path, buffer.getvalue())


def half_blocks(image: Image.Image | Tensor, columns: int, *, console: Console | None = None) -> Text:
    """An image as text, each character two pixels: one above the other, as the two colours of a half block.

    A terminal without colours (or NO_COLOR, or one that can't print the block) gets characters from dark to light.

    Args:
        image: a picture, or uint8 (3, H, W).
        columns: characters of a line; the number of lines keeps the image's shape, a character being twice as high
            as wide.
        console: where it will be shown, by default this process's standard output.
    """
    picture = (to_pil(image) if isinstance(image, Tensor) else image).convert("RGB")
    lines = max(1, round(picture.height * columns / picture.width / 2))
    way = Image.Resampling.NEAREST if columns >= picture.width else Image.Resampling.BOX
    levels = picture.resize((columns, 2 * lines), way).tobytes()
    pixels = list(zip(levels[::3], levels[1::3], levels[2::3], strict=True))
    rows = [pixels[start : start + columns] for start in range(0, len(pixels), columns)]
    as_text = _blocks if _has_colours(console or Console()) else _shades
    return Text("\n", no_wrap=True, overflow="crop").join(map(as_text, rows[::2], rows[1::2]))


def _has_colours(console: Console) -> bool:
    unicode = console.encoding.lower().startswith("utf")
    return unicode and console.color_system is not None and not console.no_color


def _blocks(upper: Sequence[Pixel], lower: Sequence[Pixel]) -> Text:
    """A line of half blocks, neighbours of the same two colours in one piece."""
    line = Text()
    for (above, below), same in groupby(zip(upper, lower, strict=True)):
        style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
        line.append("▀" * len(list(same)), style)
    return line


def _shades(upper: Sequence[Pixel], lower: Sequence[Pixel]) -> Text:
    """A line of characters as light as the two pixels together."""
    means = [(_luma(above) + _luma(below)) / 2 for above, below in zip(upper, lower, strict=True)]
    return Text("".join(RAMP[min(int(mean * len(RAMP) / 256), len(RAMP) - 1)] for mean in means))


def _luma(pixel: Pixel) -> float:
    red, green, blue = pixel
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _shortened(text: str, width_pixels: int, font: Font) -> str:
    """The text as one line, or its beginning and three dots where it is too long."""
    text = " ".join(text.encode(errors="replace").decode().split())
    if font.getlength(text) <= width_pixels:
        return text
    kept = len(text)
    while kept and font.getlength(text[:kept] + "...") > width_pixels:
        kept -= 1
    return text[:kept] + "..."
