"""Augmentation recipes that several tests begin with."""

import dataclasses

from trainer.augment import AugmentRecipe
from trainer.config import PretrainConfig

TUTORIAL = AugmentRecipe.from_config(PretrainConfig())
NOTHING = dataclasses.replace(
    TUTORIAL,
    scale=(1.0, 1.0),
    ratio=(1.0, 1.0),
    flip_probability=0.0,
    jitter_probability=0.0,
    grayscale_probability=0.0,
    blur_probability=0.0,
)
