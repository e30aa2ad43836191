"""The settings of a run: what must agree, what an older version stored, and what counts as the same run."""

import json
from typing import Any

import pytest

from trainer.config import PretrainConfig
from trainer.errors import ConfigError, ExitCode
from trainer.settings import Field, fields_of

FIELDS = fields_of(PretrainConfig)
BACKBONES = "resnet18, resnet34, resnet50, resnet-narrow, timm:NAME"

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"dataset": "mnist"}, "--dataset: 'mnist' is not known; choose stl10, cifar10, shapes, folder:PATH"),
    ({"dataset": "folder:/my/images"}, ""),
    ({"dataset": "folder:"}, "--dataset: 'folder:' is not known; choose stl10, cifar10, shapes, folder:PATH"),
    ({"device": "cuda:x"}, "--device: 'cuda:x' is not known; choose auto, next, cpu, cuda or cuda:N"),
    ({"device": "cuda:1"}, ""),
    ({"method": "simclr", "views": 1}, "--views: simclr compares views of an image; give 2 or more"),
    ({"method": "supcon", "views": 1}, "--views: supcon compares views of an image; give 2 or more"),
    ({"method": "cross-entropy", "views": 1}, ""),
    ({"method": "simclr", "negatives": False}, ""),
    (
        {"method": "supcon", "negatives": False},
        "--negatives: supcon is not defined without them; leave --no-negatives out",
    ),
    (
        {"method": "cross-entropy", "negatives": False},
        "--negatives: cross-entropy is not defined without them; leave --no-negatives out",
    ),
    (
        {"method": "supcon", "split": "unlabeled"},
        "--split: supcon learns from labels, and unlabeled has images without labels; choose train",
    ),
    (
        {"method": "cross-entropy", "split": "train+unlabeled"},
        "--split: cross-entropy learns from labels, and train+unlabeled has images without labels; choose train",
    ),
    ({"method": "supcon", "split": "train"}, ""),
    ({"backbone": "resnet101"}, f"--backbone: 'resnet101' is not known; choose {BACKBONES}"),
    ({"backbone": "timm:"}, f"--backbone: 'timm:' is not known; choose {BACKBONES}"),
    ({"backbone": "timm:no_matter"}, ""),
    (
        {"backbone": "resnet-narrow", "width_multiplier": 2.0},
        "--width-multiplier: does not apply to resnet-narrow; leave it out, or choose a resnet",
    ),
    (
        {"backbone": "timm:vit", "width_multiplier": 2.0},
        "--width-multiplier: does not apply to timm:vit; leave it out, or choose a resnet",
    ),
    ({"backbone": "resnet50", "width_multiplier": 2.0, "stem": "small"}, ""),
    ({"backbone": "timm:vit", "stem": "small"}, "--stem: does not apply to timm:vit; leave it out or choose a resnet"),
    ({"backbone": "resnet-narrow", "stem": "small"}, ""),
    ({"epochs": 5, "warmup_epochs": 5.5}, "--warmup-epochs: is above --epochs; make it smaller"),
    ({"epochs": 5, "warmup_epochs": 5.0}, ""),
    (
        {"epochs": 90, "milestones": "70,90"},
        "--milestones: '70,90' must grow and lie between 0 and --epochs; change it",
    ),
    ({"milestones": "0,90"}, "--milestones: '0,90' must grow and lie between 0 and --epochs; change it"),
    ({"milestones": "90,70"}, "--milestones: '90,70' must grow and lie between 0 and --epochs; change it"),
    ({"milestones": "70,70"}, "--milestones: '70,70' must grow and lie between 0 and --epochs; change it"),
    ({"milestones": "70,,90"}, "--milestones: '70,,90' is not a list of epochs; write 70,90"),
    ({"milestones": "7.5"}, "--milestones: '7.5' is not a list of epochs; write 70,90"),
    ({"epochs": 91, "milestones": " 70, 90 "}, ""),
    ({"crop_scale_min": 0.6, "crop_scale_max": 0.5}, "--crop-scale-min: is above --crop-scale-max; make it smaller"),
    ({"crop_scale_min": 0.5, "crop_scale_max": 0.5}, ""),
    ({"blur_sigma_min": 2.1}, "--blur-sigma-min: is above --blur-sigma-max; make it smaller"),
    ({"blur_kernel": 8}, "--blur-kernel: 8 is even; give an odd number, or 0"),
    ({"blur_kernel": 1}, ""),
    ({"hang_seconds": 0.5}, "--hang-seconds: is so short that every step would be a hang; give 0, or 1 or more"),
    ({"hang_seconds": 0.0}, ""),
    (
        {"cache": "vram", "augment": "torchvision"},
        "--cache: vram needs --augment kornia or fused, which work on the device; change one of them",
    ),
    ({"cache": "vram", "augment": "kornia"}, ""),
]
"""Settings, and the sentence of those that don't go together."""

BEFORE_SUPCON = (
    '{"augment": "kornia", "backbone": "resnet34", "batch_size": 256, "blur_kernel": 0, "blur_probability": 1.0, '
    '"blur_sigma_max": 2.0, "blur_sigma_min": 0.1, "cache": "ram", "channels_last": "auto", '
    '"checkpoint_seconds": 60.0, "crop_ratio_max": 1.3333333333333333, "crop_scale_max": 1.0, '
    '"crop_scale_min": 0.08, "data_dir": "data", '
    '"dataset": "cifar10", "deterministic": "auto", "device": "auto", "drop_last": true, "epochs": 7, '
    '"evaluate_at_end": true, "flip_probability": 0.5, "grayscale_probability": 0.2, "head_layers": 2, '
    '"head_width": 512, "image_size": 96, "jitter_brightness": 0.5, "jitter_contrast": 0.5, "jitter_hue": 0.1, '
    '"jitter_probability": 0.8, "jitter_saturation": 0.5, "keep_checkpoints": 3, "keep_every_epochs": 50, '
    '"knn_every": 1, "learning_rate": 0.0005, "learning_rate_floor": 0.02, "limit_images": 0, "limit_per_class": 0, '
    '"limit_test_per_class": 0, "momentum": 0.9, "num_workers": 2, "optimizer": "sgd", "persistent_workers": true, '
    '"pin_memory": true, "precision": "auto", "prefetch_factor": 2, "projection_size": 128, "schedule": "epoch", '
    '"seed": 42, "split": "auto", "stem": "imagenet", "temperature": 0.2, "threads": 2, "validate_every": 1, '
    '"warmup_epochs": 0.0, "weight_decay": 0.0001}'
)
"""`runs.config` of a run that a version without methods made."""


@pytest.mark.parametrize(("settings", "sentence"), CONTRADICTIONS, ids=lambda case: str(case)[:60])
def test_settings_that_do_not_go_together_are_refused_in_one_sentence(settings: dict[str, Any], sentence: str) -> None:
    if not sentence:
        PretrainConfig(**settings)
        return
    with pytest.raises(ConfigError) as caught:
        PretrainConfig(**settings)
    assert str(caught.value) == sentence
    assert caught.value.exit_code == ExitCode.USAGE
    with pytest.raises(ConfigError):
        PretrainConfig.from_values(settings)


def test_a_run_of_an_older_version_is_the_run_that_it_was() -> None:
    config = PretrainConfig.from_json(BEFORE_SUPCON)
    stored = json.loads(BEFORE_SUPCON)
    assert {name: getattr(config, name) for name in stored} == stored
    added = {field.name: getattr(config, field.name) for field in FIELDS if field.name not in stored}
    assert added == {
        "method": "simclr",
        "views": 2,
        "negatives": True,
        "hold_out": 0.1,
        "same_on_batch": False,
        "normalisation": "half",
        "width_multiplier": 1.0,
        "head_batch_norm": False,
        "learning_rate_scaling": "none",
        "decay_norm_and_bias": True,
        "trust_coefficient": 1e-3,
        "clip_grad_norm": 0.0,
        "ema_decay": 0.0,
        "warmup_start": 0.0,
        "cosine_from": "warmup",
        "milestones": "",
        "milestone_factor": 0.1,
        "health_every": 1,
        "hang_seconds": 600.0,
        "compile": "auto",
        "checkpoint_in_background": True,
    }
    assert PretrainConfig.from_json(config.to_json()) == config
    assert PretrainConfig.from_json(config.to_json()).digest() == config.digest()


def another(field: Field) -> PretrainConfig:
    """The default config with a valid other value for one setting."""
    words = {"dataset": "shapes", "backbone": "resnet34", "device": "cpu", "milestones": "70", "data_dir": "/elsewhere"}
    candidates: list[Any] = [*field.choices, words.get(field.name)]
    if field.kind is bool:
        candidates = [not field.default]
    if field.kind in (int, float):
        candidates = [field.kind(field.default + 1), field.default / 2, 3, 0.5, field.setting.low]
    for value in candidates:
        try:
            config = PretrainConfig.from_values({field.name: value})
        except ConfigError:
            continue
        if getattr(config, field.name) != field.default:
            return config
    raise AssertionError(f"no other value of {field.name} was found")


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_the_digest_changes_with_every_setting_that_can_change_a_result_and_no_other(field: Field) -> None:
    assert (another(field).digest() != PretrainConfig().digest()) == field.setting.results


def test_no_two_settings_change_the_digest_alike() -> None:
    digests = [another(field).digest() for field in FIELDS if field.setting.results]
    assert len(set(digests)) == len(digests)


def test_the_digest_knows_what_a_folder_holds_and_not_where_it_lies() -> None:
    here, there = PretrainConfig(dataset="folder:/here"), PretrainConfig(dataset="folder:/there")
    assert here.digest() == there.digest() != PretrainConfig().digest()


@pytest.mark.parametrize("method", ["simclr", "supcon", "cross-entropy"])
def test_a_method_says_its_kind_of_run_and_whether_it_needs_labels(method: str) -> None:
    config = PretrainConfig.from_values({"method": method})
    assert config.kind == ("supervised" if method == "cross-entropy" else "pretrain")
    assert config.is_supervised == (method != "simclr")


def test_milestones_are_numbers_of_epochs() -> None:
    assert PretrainConfig(milestones="").milestone_epochs == ()
    assert PretrainConfig(milestones=" ").milestone_epochs == ()
    assert PretrainConfig(milestones=" 70, 90 ").milestone_epochs == (70, 90)
