"""The network: an encoder f and a head on it, h = f(x) and z = g(h), or a classifier's logits in place of z.

Shapes: B views, C channels, H height, W width, D features of h, P size of z, K classes. The contrastive losses are
computed on z; everything after pretraining uses h.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer import randomness
from trainer.backbones import build_encoder
from trainer.config import PretrainConfig


class SimCLRModel(nn.Module):
    """Encoder and head; calling it gives z, or the logits of a supervised baseline."""

    def __init__(self, encoder: nn.Module, head: nn.Sequential, feature_size: int, classes: int = 0) -> None:
        """Put the two together.

        Args:
            encoder: maps (B, C, H, W) to (B, D).
            head: maps (B, D) to (B, P).
            feature_size: D.
            classes: K, where the head is a classifier.
        """
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.feature_size = feature_size
        self.classes = classes

    @property
    def layer_names(self) -> Sequence[str]:
        """What `layers` gives, from h to the last one."""
        inner = [f"g{number + 1}" for number in range(len(self._head_outputs) - 1)]
        return ["h", *inner, "logits" if self.classes else "z"]

    @property
    def _head_outputs(self) -> list[int]:
        """The place in the head after which each of its layers, activation included, is done."""
        linear = [place for place, module in enumerate(self.head) if isinstance(module, nn.Linear)]
        return [*(place - 1 for place in linear[1:]), len(self.head) - 1]

    def encode(self, x_BCHW: Tensor) -> Tensor:
        """The representation h, (B, D)."""
        h_BD: Tensor = self.encoder(x_BCHW)
        return h_BD

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The projection z, (B, P), not normalised, or the logits (B, K)."""
        z_BP: Tensor = self.head(self.encode(x_BCHW))
        return z_BP

    def layers(self, x_BCHW: Tensor) -> dict[str, Tensor]:
        """What evaluation scores, by name and from one pass.

        h (B, D), the hidden layers g1, g2 of the head after their activation (what the next layer sees), and z (B, P)
        or the logits (B, K).
        """
        x = self.encode(x_BCHW)
        made = [x]
        ends = self._head_outputs
        for place, module in enumerate(self.head):
            x = module(x)
            if place in ends:
                made.append(x)
        return dict(zip(self.layer_names, made, strict=True))


def build_model(config: PretrainConfig, *, classes: int = 0) -> SimCLRModel:
    """The network that a config describes, on the CPU and in training mode, with untrained weights.

    The weights are a function of `config.seed` and the architecture alone: building twice gives the same bits (which
    is how an evaluation gets the untrained encoder back) and no generator outside is moved.

    Args:
        config: the settings.
        classes: K of the data set, which only the cross-entropy baseline uses.

    Raises:
        ConfigError: the backbone can't be had.
    """
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would seed the generators of all CUDA devices too, which are not put back.
        torch.default_generator.manual_seed(randomness.key(config.seed, "weights"))
        encoder, feature_size = build_encoder(config)
        if config.method == "cross-entropy":
            return SimCLRModel(encoder, nn.Sequential(nn.Linear(feature_size, classes)), feature_size, classes)
        return SimCLRModel(encoder, _head(feature_size, config), feature_size)


def _head(feature_size: int, config: PretrainConfig) -> nn.Sequential:
    """Linear layers with ReLU between them.

    UvA tutorial 17 has two without batch norm. With batch norm each layer, the last one too, is followed by it and has
    no bias, as in lightly's SimCLRProjectionHead; the last batch norm of google-research/simclr has no offset either.
    """
    sizes = [feature_size, *[config.head_width] * (config.head_layers - 1), config.projection_size]
    modules: list[nn.Module] = []
    for size, next_size in itertools.pairwise(sizes):
        modules.append(nn.Linear(size, next_size, bias=not config.head_batch_norm))
        modules += [nn.BatchNorm1d(next_size)] if config.head_batch_norm else []
        modules.append(nn.ReLU(inplace=True))
    return nn.Sequential(*modules[:-1])
