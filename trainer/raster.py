"""`python -m trainer.raster`: a picture, or a run's views, as a portable pixmap, which is read without any library.

The dashboard imports no picture library and no torch; it runs this and draws what comes out. A pixmap (PPM, P6;
netpbm.sourceforge.net/doc/ppm.html) is a line of numbers with the pixels after it.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from trainer.config import PretrainConfig
from trainer.durable import write_durably
from trainer.entry import answer
from trainer.errors import DataError, ExitCode, UsageError
from trainer.options import OptionParser
from trainer.paths import runs_dir
from trainer.store.reader import StoreReader

_MOST_PIXELS = 640
"""Of the longer side; six images with five views fit as they are, for terminals that draw pixels."""
_SIDE_PIXELS = 96
_GAP_PIXELS = 4
_PAPER = (24, 28, 34)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pixmap that a command line asks for; its exit code (see trainer.errors)."""

    def work() -> int:
        options = _parser().parse_args(arguments)
        image, words = _views(options) if options.run else (_opened(Path(options.picture)), "")
        image.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
        write_pixmap(image, Path(options.out))
        print(words)  # noqa: T201
        return ExitCode.FINISHED

    return answer(work)


def _parser() -> argparse.ArgumentParser:
    parser = OptionParser(prog="python -m trainer.raster", description="A picture or a run's views as a PPM file.")
    parser.add_argument("--out", required=True, metavar="FILE", help="the pixmap to write")
    parser.add_argument("--picture", default="", metavar="FILE", help="a picture to make it of")
    parser.add_argument("--run", default="", metavar="ID", help="a run whose views to make it of")
    parser.add_argument("--runs-dir", metavar="DIR", help="runs folder")
    parser.add_argument("--images", type=int, default=6, metavar="N", help="images, one a row [default %(default)s]")
    parser.add_argument("--views", type=int, default=5, metavar="N", help="views of each [default %(default)s]")
    return parser


def write_pixmap(image: Image.Image, path: Path) -> None:
    """Write a picture as RGB pixels.

    Raises:
        UsageError: the disk refused.
    """
    header = f"P6 {image.width} {image.height} 255\n".encode()
    try:
        write_durably(path, header + image.convert("RGB").tobytes())
    except OSError as error:
        raise UsageError(f"--out: {path} can't be written ({error.strerror})") from error


def _opened(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} can't be read as a picture ({error})") from error


def _views(options: argparse.Namespace) -> tuple[Image.Image, str]:
    """Images with their views beside them, each enlarged to the same size, and the recipe in words."""
    from trainer.pictures import to_pil
    from trainer.preview import recipe_words
    from trainer.view_sheet import make_preview

    with closing(StoreReader.open(runs_dir(options.runs_dir))) as store:
        config = PretrainConfig.from_json(store.find(options.run).config)
    preview = make_preview(config, options.images, max(options.views, config.views))
    pitch = _SIDE_PIXELS + _GAP_PIXELS
    rows = preview.rows
    page = Image.new("RGB", (pitch * len(rows[0]) - _GAP_PIXELS, pitch * len(rows) - _GAP_PIXELS), _PAPER)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            tile = to_pil(image).resize((_SIDE_PIXELS, _SIDE_PIXELS), Image.Resampling.BICUBIC)
            page.paste(tile, (x * pitch, y * pitch))
    return page, recipe_words(config)


if __name__ == "__main__":
    sys.exit(main())
