"""A picture as plain pixels, made as large as it is wanted. Pure; numpy is imported by who asks for another size."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Pixmap:
    """A picture as RGB bytes, row by row. Two are never the same, whatever they show, so that one can be a key."""

    width: int
    height: int
    pixels: bytes


def means(picture: Pixmap, width: int, height: int) -> "NDArray[np.uint8]":
    """A picture of another size, (height, width, 3), each pixel the mean of those that lie under it."""
    import numpy as np

    pixels_HWC = np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.width, 3)
    sums_HWC = np.zeros((picture.height + 1, picture.width + 1, 3))
    sums_HWC[1:, 1:] = pixels_HWC.cumsum(0, dtype=float).cumsum(1)
    (top, bottom), (left, right) = _edges(picture.height, height), _edges(picture.width, width)
    rows_HWC = sums_HWC[bottom] - sums_HWC[top]
    whole_HWC = rows_HWC[:, right] - rows_HWC[:, left]
    areas = (bottom - top)[:, None] * (right - left)
    return (whole_HWC / areas[..., None]).round().astype(np.uint8)


def _edges(size: int, parts: int) -> "tuple[NDArray[np.intp], NDArray[np.intp]]":
    """Where each of some parts begins and ends, every one of them at least a pixel wide."""
    import numpy as np

    starts = np.arange(parts) * size // parts
    return starts, np.maximum(starts + 1, (np.arange(parts) + 1) * size // parts)
