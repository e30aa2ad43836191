"""Presets are data, and each is its source's recipe but for the deviations that it names."""

import pytest

from trainer.augment import NORMALISATIONS
from trainer.config import PretrainConfig
from trainer.errors import ConfigError, UsageError
from trainer.presets import chosen_config, load_preset, preset_names
from trainer.settings import fields_of

WITHOUT_A_SOURCE = {"dataset", "split", "cache", "num_workers", "seed"}
"""What a preset may settle although its source doesn't, or is about something else."""

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

TUTORIAL_BASELINE = {
    "dataset": "stl10",
    "split": "train",
    "method": "cross-entropy",
    "views": 1,
    "hold_out": 0.0,
    "image_size": 96,
    "backbone": "resnet18",
    "stem": "imagenet",
    "width_multiplier": 1.0,
    "optimizer": "adamw",
    "learning_rate": 1e-3,
    "learning_rate_scaling": "none",
    "weight_decay": 2e-4,
    "decay_norm_and_bias": True,
    "warmup_epochs": 0.0,
    "milestone_epochs": (70, 90),
    "milestone_factor": 0.1,
    "schedule": "epoch",
    "batch_size": 64,
    "drop_last": True,
    "epochs": 100,
    "seed": 42,
    "clip_grad_norm": 0.0,
    "ema_decay": 0.0,
    "precision": "float32",
    "channels_last": "no",
    "augment": "torchvision",
    "deterministic": "cudnn",
    "flip_probability": 0.5,
    "crop_scale_min": 0.8,
    "crop_scale_max": 1.0,
    "crop_ratio_max": 4 / 3,
    "jitter_probability": 0.0,
    "grayscale_probability": 0.2,
    "blur_probability": 1.0,
    "blur_kernel_size": 9,
    "blur_sigma_min": 0.1,
    "blur_sigma_max": 0.5,
    "normalisation": "half",
}
"""UvA tutorial 17, the supervised ResNet-18 on the 5,000 labelled images."""

SUPCONTRAST = {
    "dataset": "cifar10",
    "split": "train",
    "hold_out": 0.0,
    "image_size": 32,
    "backbone": "resnet50",
    "stem": "small",
    "width_multiplier": 1.0,
    "optimizer": "sgd",
    "momentum": 0.9,
    "learning_rate_scaling": "none",
    "weight_decay": 1e-4,
    "decay_norm_and_bias": True,
    "warmup_epochs": 10.0,
    "cosine_from": "start",
    "milestones": "",
    "learning_rate_floor": 0.1**3,
    "schedule": "epoch",
    "batch_size": 1024,
    "drop_last": False,
    "clip_grad_norm": 0.0,
    "ema_decay": 0.0,
    "precision": "float32",
    "channels_last": "no",
    "augment": "torchvision",
    "deterministic": "no",
    "flip_probability": 0.5,
    "crop_scale_min": 0.2,
    "crop_scale_max": 1.0,
    "crop_ratio_max": 4 / 3,
    "blur_probability": 0.0,
    "normalisation": "cifar10",
}
"""SupContrast: what main_supcon.py and main_ce.py have in common at batch_size 1024, which forces the warm-up on."""

SUPCONTRAST_PRETRAINING = SUPCONTRAST | {
    "views": 2,
    "negatives": True,
    "head_layers": 2,
    "head_width": 2048,
    "head_batch_norm": False,
    "projection_size": 128,
    "learning_rate": 0.5,
    "warmup_start": 0.01 / 0.5,
    "epochs": 1000,
    "jitter_probability": 0.8,
    "jitter_brightness": 0.4,
    "jitter_contrast": 0.4,
    "jitter_saturation": 0.4,
    "jitter_hue": 0.1,
    "grayscale_probability": 0.2,
}
"""main_supcon.py."""

SUPCONTRAST_SIMCLR = SUPCONTRAST_PRETRAINING | {"method": "simclr", "temperature": 0.5}
SUPCONTRAST_SUPCON = SUPCONTRAST_PRETRAINING | {"method": "supcon", "temperature": 0.1}
SUPCONTRAST_BASELINE = SUPCONTRAST | {
    "method": "cross-entropy",
    "views": 1,
    "learning_rate": 0.8,
    "warmup_start": 0.01 / 0.8,
    "epochs": 500,
    "jitter_probability": 0.0,
    "grayscale_probability": 0.0,
}
"""main_ce.py."""

PAPER = {
    "image_size": 224,
    "method": "simclr",
    "views": 2,
    "negatives": True,
    "backbone": "resnet50",
    "stem": "imagenet",
    "width_multiplier": 1.0,
    "head_layers": 2,
    "head_width": 2048,
    "head_batch_norm": "without the last offset",
    "projection_size": 128,
    "temperature": 0.1,
    "optimizer": "lars",
    "momentum": 0.9,
    "trust_coefficient": 1e-3,
    "learning_rate": 0.075,
    "learning_rate_scaling": "sqrt",
    "weight_decay": 1e-6,
    "decay_norm_and_bias": False,
    "warmup_epochs": 10.0,
    "warmup_start": 0.0,
    "cosine_from": "warmup",
    "milestones": "",
    "learning_rate_floor": 0.0,
    "schedule": "step",
    "batch_size": 4096,
    "drop_last": True,
    "epochs": 100,
    "clip_grad_norm": 0.0,
    "ema_decay": 0.0,
    "precision": "float32",
    "augment": "bicubic crops",
    "flip_probability": 0.5,
    "crop_scale_min": 0.08,
    "crop_scale_max": 1.0,
    "crop_ratio_max": 4 / 3,
    "jitter_probability": 0.8,
    "jitter_brightness": 0.8,
    "jitter_contrast": 0.8,
    "jitter_saturation": 0.8,
    "jitter_hue": 0.2,
    "grayscale_probability": 0.2,
    "blur_probability": 0.5,
    "blur_sigma_min": 0.1,
    "blur_sigma_max": 2.0,
    "normalisation": "none",
}
"""SimCLR on ImageNet: the paper's section 2.2 and appendices A and B.1, and google-research/simclr."""

NAMED_DEVIATIONS = {"precision", "channels_last", "augment", "deterministic"}
RECIPES = {
    "stl10": (TUTORIAL, NAMED_DEVIATIONS),
    "stl10-fast": (TUTORIAL, NAMED_DEVIATIONS),
    "stl10-ce": (TUTORIAL_BASELINE, NAMED_DEVIATIONS),
    "cifar10-supcontrast": (SUPCONTRAST_SIMCLR, NAMED_DEVIATIONS | {"schedule"}),
    "cifar10-supcon": (SUPCONTRAST_SUPCON, NAMED_DEVIATIONS | {"schedule"}),
    "cifar10-ce": (SUPCONTRAST_BASELINE, NAMED_DEVIATIONS | {"schedule"}),
    "stl10-paper": (
        PAPER,
        {"image_size", "backbone", "head_width", "head_batch_norm", "batch_size", "epochs", "normalisation"}
        | {"augment", "precision"},
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_preset_is_its_sources_recipe_but_for_the_deviations_that_it_names(name: str) -> None:
    source, deviations = RECIPES[name]
    preset = load_preset(name)
    config = preset.config()
    differing = {setting for setting, value in source.items() if getattr(config, setting) != pytest.approx(value)}
    assert differing == deviations
    assert set(preset.deviations) == deviations
    # What is not in the table can't be left to a default that the source does not have.
    assert set(preset.settings) - WITHOUT_A_SOURCE <= set(source) | {"blur_kernel", "milestones"}


def test_stl10_is_the_tutorials_recipe_but_for_the_deviations_that_it_names() -> None:
    preset = load_preset("stl10")
    config = preset.config()
    differing = {name for name, value in TUTORIAL.items() if getattr(config, name) != value}
    assert differing == NAMED_DEVIATIONS
    assert set(preset.deviations) == NAMED_DEVIATIONS


def test_the_fast_preset_is_the_same_recipe_by_another_way() -> None:
    slow, fast = load_preset("stl10").config(), load_preset("stl10-fast").config()
    differing = {name: getattr(fast, name) for name in SETTINGS if getattr(slow, name) != getattr(fast, name)}
    assert differing == {"cache": "vram", "num_workers": 0, "augment": "fused"}


def test_cifar10_is_the_same_recipe_at_32_pixels() -> None:
    stl10, cifar10 = load_preset("stl10").config(), load_preset("cifar10").config()
    expected = {"dataset": "cifar10", "split": "train", "image_size": 32, "blur_kernel": 3, "cache": "ram"}
    differing = {name for name in SETTINGS if getattr(stl10, name) != getattr(cifar10, name)}
    assert differing == set(expected)
    assert all(getattr(cifar10, name) == value for name, value in expected.items())


def test_the_statistics_of_cifar10_are_supcontrasts() -> None:
    assert NORMALISATIONS["cifar10"] == ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


def test_every_preset_can_be_used_and_says_where_it_comes_from() -> None:
    assert set(preset_names()) == {"demo", "cifar10", *RECIPES}
    for name in preset_names():
        preset = load_preset(name)
        assert preset.config(batch_size=3).batch_size == 3
        assert preset.title
        assert preset.source
        assert set(preset.deviations) <= SETTINGS


def test_an_unknown_preset_is_answered_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"'imagenet' is not known; choose cifar10, .*demo, stl10, "):
        load_preset("imagenet")


def test_settings_begin_with_a_preset_or_with_the_defaults() -> None:
    assert chosen_config("stl10", {"epochs": 3}) == load_preset("stl10").config(epochs=3)
    assert chosen_config(None, {"epochs": 3}) == PretrainConfig(epochs=3)
    for preset in ("stl10", None):
        with pytest.raises(ConfigError, match="no such setting"):
            chosen_config(preset, {"epoch": 3})
