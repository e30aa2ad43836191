"""A contact sheet of images, each with the ones nearest to it.

Shapes: N images, k neighbours, C H W an image.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer import randomness
from trainer.data.split import Split
from trainer.evaluation.neighbours import Neighbours
from trainer.pictures import save_png, sheet

MAX_ROWS = 12
MAX_OF_A_CLASS = 2

# Okabe and Ito's blue and vermilion, which people with any colour vision tell apart.
_SAME, _OTHER, _PLAIN = (0, 114, 178), (213, 94, 0), (160, 160, 160)


def draw(split: Split, bank: Split, neighbours: Neighbours, seed: int, path: Path) -> None:
    """Write a sheet with a row for each of some images: the image in a grey frame, then its neighbours, nearest first.

    A neighbour of the same class has a blue frame, another one a vermilion frame of half its width; the caption names
    the class and counts the same ones. Without classes all frames are grey.

    Args:
        split: the images that have neighbours.
        bank: where the neighbours are from.
        neighbours: of every image of the split.
        seed: decides which images are shown, one or two of each class.
        path: ends in .png.
    """
    rows_R = choose_rows(split.labels, seed)
    named = bool(split.classes) and int(split.labels.min()) >= 0
    same_Nk = neighbours.is_same_class(split, bank) if named else None
    rows, captions = [], []
    for row in rows_R.tolist():
        index_k = neighbours.index_Nk[row]
        colours = [_PLAIN] * len(index_k)
        if same_Nk is not None:
            colours = [_SAME if same else _OTHER for same in same_Nk[row].tolist()]
            alike = f"{int(same_Nk[row].sum())} of {len(index_k)}"
            captions.append(f"{split.classes[int(split.labels[row])]}, {alike}")
        images = [split.images.take([row])[0], *bank.images.take(index_k)]
        rows.append([_framed(image, colour) for image, colour in zip(images, [_PLAIN, *colours], strict=True)])
    headings = ["image", *(str(number) for number in range(1, len(rows[0])))]
    save_png(sheet(rows, captions=captions, headings=headings), path)


def choose_rows(labels_N: Tensor, seed: int) -> Tensor:
    """At most twelve images, two of each class or, where they would not all fit, one; int64, class by class."""
    order_N = randomness.permutation(seed, "neighbour-sheet", len(labels_N))
    present = labels_N.unique().tolist()
    each = MAX_ROWS if len(present) == 1 else MAX_OF_A_CLASS if 2 * len(present) <= MAX_ROWS else 1
    chosen = [order_N[labels_N[order_N] == label][:each] for label in present[:MAX_ROWS]]
    return torch.cat(chosen)


def _framed(image_u8_CHW: Tensor, colour: tuple[int, int, int]) -> Tensor:
    """The image with a frame around it; all framed images have the same size."""
    widest = max(2, image_u8_CHW.shape[1] // 16)
    width = max(1, widest // 2) if colour == _OTHER else widest
    framed = F.pad(image_u8_CHW.cpu(), (widest,) * 4, value=255)
    inner = framed[
        :, widest - width : framed.shape[1] - widest + width, widest - width : framed.shape[2] - widest + width
    ]
    inner[:] = torch.tensor(colour, dtype=torch.uint8)[:, None, None]
    framed[:, widest:-widest, widest:-widest] = image_u8_CHW.cpu()
    return framed
