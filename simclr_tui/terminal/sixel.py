"""Pictures as Sixel (vt100.net/docs/vt3xx-gp/chapter14.html): a palette, and bands of six lines of pixels. Pure."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simclr_tui.terminal.pixmap import Pixmap, means

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BAND = 6
_REPEATED = re.compile(r"(.)\1{3,}")


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A picture in as many colours as a terminal has registers.

    `indices_HW` are places in `palette_NC`, whose levels are 0 to 255.
    """

    indices_HW: "NDArray[np.uint8]"
    palette_NC: "NDArray[np.uint8]"

    def crop(self, left: int, top: int, width: int, height: int) -> "Painted":
        """A part of it, in pixels."""
        return Painted(self.indices_HW[top : top + height, left : left + width], self.palette_NC)


def painted(picture: Pixmap, width: int, height: int, colours: int) -> Painted:
    """A picture of another size in few colours, found by median cut (Heckbert, 1982).

    Args:
        picture: the picture.
        width: of what is wanted, in pixels.
        height: of what is wanted, in pixels.
        colours: how many at most, 2 to 256.
    """
    import numpy as np

    pixels_NC = means(picture, width, height).reshape(-1, 3)
    levels_NC = (pixels_NC >> 3).astype(np.intp)  # 32 levels a channel, so that few colours are left to be sorted
    bins_N = levels_NC[:, 0] << 10 | levels_NC[:, 1] << 5 | levels_NC[:, 2]
    counts = np.bincount(bins_N, minlength=1 << 15)
    used = np.flatnonzero(counts)
    weights = counts[used]
    sums = [np.bincount(bins_N, pixels_NC[:, channel], minlength=1 << 15)[used] for channel in range(3)]
    colours_MC = np.stack(sums, axis=1) / weights[:, None]
    boxes = _boxes(colours_MC, weights, colours)
    palette_NC = np.array([np.average(colours_MC[box], axis=0, weights=weights[box]) for box in boxes])
    lookup = np.zeros(1 << 15, np.uint8)
    for number, box in enumerate(boxes):
        lookup[used[box]] = number
    return Painted(lookup[bins_N].reshape(height, width), palette_NC.round().astype(np.uint8))


def _boxes(colours_MC: "NDArray[np.float64]", weights: "NDArray[np.intp]", most: int) -> "list[NDArray[np.intp]]":
    """Places of colours that become one: the box whose colours differ most is halved until there are enough boxes."""
    import heapq

    import numpy as np

    def rated(box: "NDArray[np.intp]") -> tuple[float, int, int, "NDArray[np.intp]"]:
        spread = np.ptp(colours_MC[box], axis=0)
        channel = int(spread.argmax())
        return -float(spread[channel] ** 2 * weights[box].sum()), int(box[0]), channel, box

    heap = [rated(np.arange(len(colours_MC)))]
    while len(heap) < most and heap[0][0] < 0:
        _, _, channel, box = heapq.heappop(heap)
        box = box[colours_MC[box, channel].argsort(kind="stable")]
        passed = weights[box].cumsum()
        half = int(np.clip(np.searchsorted(passed, passed[-1] / 2), 1, len(box) - 1))
        heapq.heappush(heap, rated(box[:half]))
        heapq.heappush(heap, rated(box[half:]))
    return [box for *_, box in heap]


def encoded(picture: Painted) -> str:
    """The sequence that paints a picture at the cursor; pixels of its last band that it does not have stay."""
    import numpy as np

    height, width = picture.indices_HW.shape
    levels = (picture.palette_NC.astype(int) * 100 + 127) // 255  # of a register, in percent
    registers = "".join(
        f"#{number};2;{levels[number, 0]};{levels[number, 1]};{levels[number, 2]}"
        for number in np.unique(picture.indices_HW).tolist()
    )
    bands = [_band(picture.indices_HW[top : top + _BAND]) for top in range(0, height, _BAND)]
    return f'\x1bP0;1;0q"1;1;{width};{height}{registers}{"-".join(bands)}\x1b\\'


def _band(indices_HW: "NDArray[np.uint8]") -> str:
    """Six lines, one colour after the other; each character is six pixels, the lowest bit at the top."""
    import numpy as np

    present, places = np.unique(indices_HW, return_inverse=True)
    places = places.reshape(indices_HW.shape)
    bits = np.zeros((len(present), indices_HW.shape[1]), np.uint8)
    columns = np.arange(indices_HW.shape[1])
    for row, line in enumerate(places):
        bits[line, columns] |= np.uint8(1 << row)
    texts = (bits + np.uint8(63)).tobytes().decode()
    width = indices_HW.shape[1]
    return "$".join(
        f"#{number}{_REPEATED.sub(_packed, texts[at : at + width].rstrip('?'))}"
        for number, at in zip(present.tolist(), range(0, len(texts), width), strict=True)
    )


def _packed(found: re.Match[str]) -> str:
    return f"!{len(found.group())}{found.group(1)}"
