"""One image file to the pixels of a square.

The image is turned upright by its EXIF orientation and converted to RGB, and its central square is resized, which is
what resizing the shorter side and cropping the centre gives.
"""

import stat
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from trainer.quote import printable

Pixels = npt.NDArray[np.uint8]

_LONGEST_REASON = 200

LARGEST_PIXELS = 89_478_485
"""Of an image file: a quarter of a gigabyte in RGB, for each of the threads that decode. Pillow warns above as many and
refuses twice as many; here what it warns of is refused, so a file of a few kilobytes can't fill the memory."""

Image.MAX_IMAGE_PIXELS = LARGEST_PIXELS
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


def decode(path: Path, size: int) -> Pixels:
    """Decode one image file upright, in RGB, its central square resized (bilinear with antialias).

    Args:
        path: a file that Pillow can read; of an animation the first picture is taken.
        size: side S in pixels.

    Returns:
        uint8 (S, S, 3).

    Raises:
        Exception: the file is damaged, is no image or is too large; which one depends on Pillow's reader.
    """
    with Image.open(path) as opened:
        image = _to_rgb(ImageOps.exif_transpose(opened))
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    square = image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return np.asarray(square)


def try_decode(path: Path, size: int) -> Pixels | str:
    """The pixels of a file, uint8 (S, S, 3), or why it can't be read."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for, and a device may never end
            return "it is no plain file"
        if found.st_size == 0:
            return "the file is empty"
        return decode(path, size)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return f"it has more than {LARGEST_PIXELS // 1_000_000} million pixels; make it smaller"
    except UnidentifiedImageError:
        return "it is no image that Pillow can read"
    except OSError as error:
        return error.strerror or _line(error)
    except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
        return _line(error)


def _line(error: Exception) -> str:
    """What an error says, on one line that is not longer than a person reads."""
    return printable(" ".join(str(error).split())[:_LONGEST_REASON]) or type(error).__name__


def to_chw(image_HWC: Pixels) -> torch.Tensor:
    """Pixels (S, S, 3) as a tensor (3, S, S)."""
    return torch.from_numpy(image_HWC.transpose(2, 0, 1).copy())


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow clips 16-bit grey levels to 255 instead of scaling them.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise ValueError("it has 32-bit grey levels, whose range is not known; save it with 8 bits")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
