"""The network of SimCLR: an encoder f and a projection head g, h = f(x) and z = g(h).

Shapes: B views, C channels, H height, W width, D features of h, P size of z. The loss is computed on z; everything
after pretraining uses h.
"""

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet

from trainer import randomness
from trainer.config import PretrainConfig

NARROW_WIDTHS = (24, 48, 96)


class SimCLRModel(nn.Module):
    """Encoder and projection head; calling it gives z."""

    def __init__(self, encoder: nn.Module, head: nn.Module, feature_size: int) -> None:
        """Put the two together.

        Args:
            encoder: maps (B, C, H, W) to (B, D).
            head: maps (B, D) to (B, P).
            feature_size: D.
        """
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.feature_size = feature_size

    def encode(self, x_BCHW: Tensor) -> Tensor:
        """The representation h, (B, D)."""
        h_BD: Tensor = self.encoder(x_BCHW)
        return h_BD

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The projection z, (B, P), not normalised."""
        z_BP: Tensor = self.head(self.encode(x_BCHW))
        return z_BP

    def layers(self, x_BCHW: Tensor) -> dict[str, Tensor]:
        """What evaluation scores, by name and from one pass: h (B, D) and z (B, P)."""
        h_BD = self.encode(x_BCHW)
        return {"h": h_BD, "z": self.head(h_BD)}


class NarrowResNet(nn.Module):
    """A ResNet for small images on small machines: 3×3 stem, one basic block a stage, strides 1-2-2."""

    def __init__(self) -> None:
        """Build it with torchvision's initialisation of a ResNet."""
        super().__init__()
        width = NARROW_WIDTHS[0]
        self.stem = nn.Sequential(resnet.conv3x3(3, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        blocks = []
        for stage, stage_width in enumerate(NARROW_WIDTHS):
            blocks.append(_basic_block(width, stage_width, stride=1 if stage == 0 else 2))
            width = stage_width
        self.stages = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _initialise_convolution(module)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The representation h, (B, 96)."""
        h_BD: Tensor = self.pool(self.stages(self.stem(x_BCHW))).flatten(1)
        return h_BD


def build_model(config: PretrainConfig) -> SimCLRModel:
    """The network that a config describes, on the CPU and in training mode, with untrained weights.

    The weights are a function of `config.seed` and the architecture alone: building twice gives the same bits (which
    is how an evaluation gets the untrained encoder back) and no generator outside is moved.
    """
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would seed the generators of all CUDA devices too, which are not put back.
        torch.default_generator.manual_seed(randomness.key(config.seed, "weights"))
        encoder, feature_size = _encoder(config)
        head = _head(feature_size, config.head_layers, config.head_width, config.projection_size)
        return SimCLRModel(encoder, head, feature_size)


def _encoder(config: PretrainConfig) -> tuple[nn.Module, int]:
    """The encoder and its number of features D."""
    if config.backbone == "resnet-narrow":
        return NarrowResNet(), NARROW_WIDTHS[-1]
    build = {"resnet18": resnet.resnet18, "resnet34": resnet.resnet34, "resnet50": resnet.resnet50}[config.backbone]
    encoder: Any = build(weights=None)  # typed as an nn.Module, its layers would be Tensor | Module
    feature_size: int = encoder.fc.in_features
    encoder.fc = nn.Identity()
    if config.stem == "small":
        encoder.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=1, bias=False)
        _initialise_convolution(encoder.conv1)
        encoder.maxpool = nn.Identity()
    return encoder, feature_size


def _head(feature_size: int, layers: int, width: int, projection_size: int) -> nn.Sequential:
    """Linear layers with ReLU between them and no batch norm (UvA tutorial 17 has two)."""
    sizes = [feature_size, *[width] * (layers - 1), projection_size]
    modules: list[nn.Module] = []
    for size, next_size in itertools.pairwise(sizes):
        modules += [nn.Linear(size, next_size), nn.ReLU(inplace=True)]
    return nn.Sequential(*modules[:-1])


def _basic_block(width: int, next_width: int, stride: int) -> nn.Module:
    """torchvision's basic block, with a 1×1 convolution as its short cut where the shape changes."""
    shortcut = None
    if stride != 1 or width != next_width:
        shortcut = nn.Sequential(resnet.conv1x1(width, next_width, stride), nn.BatchNorm2d(next_width))
    block: nn.Module = resnet.BasicBlock(width, next_width, stride, shortcut)
    return block


def _initialise_convolution(convolution: nn.Conv2d) -> None:
    """He initialisation by the fan out, as torchvision's ResNets have it."""
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
