"""Kitty's graphics protocol (sw.kovidgoyal.net/kitty/graphics-protocol), as far as placeholders need it. Pure.

Every sequence says q=2, so that the terminal answers none of them.
"""

import base64
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from simclr_tui.terminal.pixmap import Pixmap

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BEGIN, _END = "\x1b_G", "\x1b\\"
_PAYLOAD = 4096
"""Characters of a sequence's payload at most, by the protocol."""

ABORT = f"{_BEGIN}m=0,q=2;{_END}"
"""The end of a picture whose other parts are not sent any more."""


def transmission(image_id: int, picture: Pixmap) -> Iterator[str]:
    """A picture in sequences that have to be sent in this order with no other picture's between them."""
    payload = base64.b64encode(png(picture)).decode()
    parts = [payload[at : at + _PAYLOAD] for at in range(0, len(payload), _PAYLOAD)]
    for number, piece in enumerate(parts, 1):
        keys = f"a=t,f=100,t=d,i={image_id}," if number == 1 else ""
        yield f"{_BEGIN}{keys}q=2,m={int(number < len(parts))};{piece}{_END}"


def is_followed(sequence: str) -> bool:
    """Whether a sequence is a part of a picture with more to come."""
    return sequence.partition(";")[0].endswith("m=1")


def placement(image_id: int, columns: int, lines: int) -> str:
    """How many cells a picture's placeholders are; said again, it takes the place of what was said before."""
    return f"{_BEGIN}a=p,U=1,i={image_id},p=1,c={columns},r={lines},q=2{_END}"


def deletion(image_id: int) -> str:
    """Free what the terminal keeps of a picture."""
    return f"{_BEGIN}a=d,d=I,i={image_id},q=2{_END}"


def png(picture: Pixmap) -> bytes:
    """A picture as PNG (w3.org/TR/png-3), each pixel as its difference from the one before, which packs well."""
    import numpy as np

    pixels_HWC: NDArray[np.uint8] = np.frombuffer(picture.pixels, np.uint8).reshape(picture.height, picture.width, 3)
    lines = np.empty((picture.height, 1 + 3 * picture.width), np.uint8)
    lines[:, 0] = 1  # the filter "sub"
    lines[:, 1:4] = pixels_HWC[:, 0]
    lines[:, 4:] = np.diff(pixels_HWC, axis=1).reshape(picture.height, -1)
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)  # 8 bits a channel, RGB
    data = zlib.compress(lines.tobytes())
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
