"""Encoders f: torchvision's ResNets, with a small stem or another width, a narrow one of ours, and timm's models.

Shapes: B views, C channels, H height, W width, D features of h.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet

from trainer.config import TIMM, PretrainConfig
from trainer.errors import ConfigError

NARROW_WIDTHS = (24, 48, 96)

_BLOCKS: dict[str, tuple[type[nn.Module], list[int]]] = {
    "resnet18": (resnet.BasicBlock, [2, 2, 2, 2]),
    "resnet34": (resnet.BasicBlock, [3, 4, 6, 3]),
    "resnet50": (resnet.Bottleneck, [3, 4, 6, 3]),
}

_TIMM_REFUSES = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
"""What timm's models raise where an image is too small for them or is no multiple of their patches."""


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


class _WideResNet(resnet.ResNet):  # type: ignore[misc]  # torchvision comes without types
    """torchvision's ResNet with every layer as many times as wide (width_multiplier of google-research/simclr)."""

    def __init__(self, block: Any, layers: list[int], multiplier: float) -> None:
        super().__init__(block, layers)
        width = max(1, round(64 * multiplier))
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.inplanes = width
        widths = [max(1, round(64 * 2**stage * multiplier)) for stage in range(4)]
        for stage, (planes, count) in enumerate(zip(widths, layers, strict=True)):
            setattr(self, f"layer{stage + 1}", self._make_layer(block, planes, count, stride=1 if stage == 0 else 2))
        self.fc = nn.Linear(widths[-1] * block.expansion, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _initialise_convolution(module)


def build_encoder(config: PretrainConfig) -> tuple[nn.Module, int]:
    """The encoder that a config describes and its number of features D, with untrained weights.

    Raises:
        ConfigError: timm is not installed, knows no such model, or can't build it for images of that size.
    """
    if config.backbone.startswith(TIMM):
        return _timm_encoder(config.backbone.removeprefix(TIMM), config.image_size)
    if config.backbone == "resnet-narrow":
        return NarrowResNet(), NARROW_WIDTHS[-1]
    block, layers = _BLOCKS[config.backbone]
    encoder: Any  # typed as an nn.Module, its layers would be Tensor | Module
    if config.width_multiplier == 1:
        encoder = getattr(resnet, config.backbone)(weights=None)
    else:
        encoder = _WideResNet(block, layers, config.width_multiplier)
    feature_size: int = encoder.fc.in_features
    encoder.fc = nn.Identity()
    if config.stem == "small":
        encoder.conv1 = nn.Conv2d(3, encoder.conv1.out_channels, kernel_size=3, stride=1, padding=1, bias=False)
        _initialise_convolution(encoder.conv1)
        encoder.maxpool = nn.Identity()
    return encoder, feature_size


def _timm_encoder(name: str, image_size: int) -> tuple[nn.Module, int]:
    try:
        import timm
    except ImportError:
        raise ConfigError(
            "backbone", f"timm:{name} needs timm; install it with `pip install 'simclr-tui[timm]'`, or choose resnet18"
        ) from None
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name[:5]}*")[:3])
        raise ConfigError(
            "backbone",
            f"timm has no model {name!r}; "
            + (
                f"choose one, such as {near}"
                if near
                else "`python -c 'import timm; print(timm.list_models())'` lists them"
            ),
        )
    options: dict[str, Any] = {"pretrained": False, "num_classes": 0, "in_chans": 3}
    try:
        try:
            encoder = timm.create_model(name, img_size=image_size, **options)
        except TypeError:  # a model that takes images of any size
            encoder = timm.create_model(name, **options)
        return encoder, _feature_size(encoder, image_size)
    except _TIMM_REFUSES as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise ConfigError(
            "backbone",
            f"timm:{name} can't take images of {image_size} pixels ({reason.rstrip('.')}); choose another model, or "
            "another --image-size",
        ) from error


@torch.no_grad()
def _feature_size(encoder: nn.Module, image_size: int) -> int:
    """D of a model, from one pass: many of timm's are built for any size, and refuse an image only when they see it."""
    encoder.eval()
    h_1D = encoder(torch.zeros(1, 3, image_size, image_size))
    encoder.train()
    if not isinstance(h_1D, Tensor) or h_1D.ndim != 2:
        raise ValueError("it gives no vector of features")
    return h_1D.shape[1]


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
