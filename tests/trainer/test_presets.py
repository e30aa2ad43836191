"""Presets are data, and the tutorial's is the tutorial's."""

import pytest

from trainer.config import PretrainConfig
from trainer.errors import UsageError
from trainer.presets import load_preset, preset_names
from trainer.settings import fields_of

SETTINGS = {field.name for field in fields_of(PretrainConfig)}

TUTORIAL = {
    "dataset": "stl10",
    "split": "unlabeled",
    "image_size": 96,
    "backbone": "resnet18",
    "stem": "imagenet",
    "head_layers": 2,
    "head_width": 512,
    "projection_size": 128,
    "optimizer": "adamw",
    "learning_rate": 5e-4,
    "weight_decay": 1e-4,
    "warmup_epochs": 0.0,
    "learning_rate_floor": 1 / 50,
    "schedule": "epoch",
    "temperature": 0.07,
    "batch_size": 256,
    "drop_last": True,
    "epochs": 500,
    "seed": 42,
    "precision": "float32",
    "channels_last": "no",
    "augment": "torchvision",
    "deterministic": "cudnn",
    "flip_probability": 0.5,
    "crop_scale_min": 0.08,
    "crop_scale_max": 1.0,
    "crop_ratio_max": 4 / 3,
    "jitter_probability": 0.8,
    "jitter_brightness": 0.5,
    "jitter_contrast": 0.5,
    "jitter_saturation": 0.5,
    "jitter_hue": 0.1,
    "grayscale_probability": 0.2,
    "blur_probability": 1.0,
    "blur_kernel_size": 9,
    "blur_sigma_min": 0.1,
    "blur_sigma_max": 2.0,
}
"""UvA tutorial 17, SimCLR.ipynb, cells 10, 17, 20 and 22."""

NAMED_DEVIATIONS = {"precision", "channels_last", "augment", "deterministic"}


def test_stl10_is_the_tutorials_recipe_but_for_the_deviations_that_it_names() -> None:
    preset = load_preset("stl10")
    config = preset.config()
    differing = {name for name, value in TUTORIAL.items() if getattr(config, name) != value}
    assert differing == NAMED_DEVIATIONS
    assert set(preset.deviations) == NAMED_DEVIATIONS


def test_cifar10_is_the_same_recipe_at_32_pixels() -> None:
    stl10, cifar10 = load_preset("stl10").config(), load_preset("cifar10").config()
    expected = {"dataset": "cifar10", "split": "train", "image_size": 32, "blur_kernel": 3, "cache": "ram"}
    differing = {name for name in SETTINGS if getattr(stl10, name) != getattr(cifar10, name)}
    assert differing == set(expected)
    assert all(getattr(cifar10, name) == value for name, value in expected.items())


def test_every_preset_can_be_used_and_says_where_it_comes_from() -> None:
    assert set(preset_names()) >= {"demo", "stl10", "cifar10"}
    for name in preset_names():
        preset = load_preset(name)
        assert preset.config(epochs=3).epochs == 3
        assert preset.title
        assert preset.source
        assert set(preset.deviations) <= SETTINGS


def test_an_unknown_preset_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="choose cifar10, demo, stl10"):
        load_preset("imagenet")
