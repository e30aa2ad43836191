"""Pictures for the tests of the augmentation: parts of scikit-learn's two photographs, ramps and noise."""

from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor
from torchvision.transforms.v2 import functional as TF


def photographs(count: int, height: int, width: int | None = None) -> Tensor:
    """uint8 (count, 3, height, width), square where only one side is given."""
    generator = torch.Generator().manual_seed(0)
    width = height if width is None else width
    pictures = []
    for number in range(count):
        photo = _photos()[number % 2]
        side = int(torch.randint(150, 420, (), generator=generator))
        top = int(torch.randint(photo.shape[1] - side + 1, (), generator=generator))
        left = int(torch.randint(photo.shape[2] - side + 1, (), generator=generator))
        box = photo[:, top : top + side, left : left + side]
        pictures.append(TF.resize(box, [height, width], antialias=True))
    return torch.stack(pictures)


def ramps(count: int, size: int) -> Tensor:
    """uint8 (count, 3, size, size): smooth waves of random direction in each channel."""
    generator = torch.Generator().manual_seed(1)
    place = torch.linspace(0, 2 * torch.pi, size)
    frequency, phase = 2 * torch.rand(2, count, 3, 2, 1, 1, generator=generator)
    waves = torch.sin(frequency[:, :, 0] * place + frequency[:, :, 1] * place[:, None] + phase.sum(dim=2))
    return (127.5 + 127.5 * waves).to(torch.uint8)


def noise(count: int, size: int) -> Tensor:
    """uint8 (count, 3, size, size): every value of every pixel alike, black, white and gray among them."""
    generator = torch.Generator().manual_seed(2)
    pictures = torch.randint(256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    pictures[0], pictures[1], pictures[2] = 0, 255, pictures[2, :1].clone()
    return pictures


@cache
def _photos() -> list[Tensor]:
    return [torch.from_numpy(np.array(photo)).permute(2, 0, 1) for photo in load_sample_images().images]
