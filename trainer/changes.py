"""Which settings of a run may change once it has begun, and in which way: one table, and the words about it.

A setting that cannot change a result (`Setting.results` is False) may change at every resume. Every other one is in
`RULES`: it may change within the run if it is accepted by name, or only in a fork, or only with a new optimiser, or
never, since the checkpoint could not be loaded or would be of other images.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from trainer.config import PretrainConfig
from trainer.errors import ConfigError
from trainer.paths import typed_path
from trainer.schedule import learning_rate
from trainer.serialised import FOLDER
from trainer.settings import Field, fields_of


class Way(Enum):
    """How a setting that changes the result may be changed."""

    ACCEPT = "accept"
    """Within the run, accepted by name, or in a fork."""
    FORK = "fork"
    """Only in a fork: the numbers of the steps would not go on."""
    OPTIMIZER = "optimizer"
    """Only in a fork that drops the optimiser's state."""
    NEVER = "never"
    """In no run that goes on from a checkpoint."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How a setting may be changed, and why not otherwise."""

    way: Way
    why: str = ""


_WEIGHTS = Rule(Way.NEVER, "it shapes the weights, which no checkpoint of it would fit")
_IMAGES = Rule(Way.NEVER, "the images would be others")
_STEPS = Rule(Way.FORK, "an epoch would have another number of steps, and what was logged would not go on")
_STATE = Rule(Way.OPTIMIZER, "the optimiser's state of the checkpoint would not fit")
_ACCEPT = Rule(Way.ACCEPT)

RULES: Mapping[str, Rule] = {
    "dataset": _IMAGES,
    "split": _IMAGES,
    "image_size": _IMAGES,
    "limit_images": _STEPS,
    "limit_per_class": _STEPS,
    "limit_test_per_class": Rule(Way.FORK, "scores before and after would be of other images"),
    "hold_out": Rule(Way.NEVER, "images that were trained on would be scored as if they were new"),
    "method": Rule(Way.NEVER, "it decides the head, and which images are kept for scoring"),
    "drop_last": _STEPS,
    "batch_size": _STEPS,
    "optimizer": _STATE,
    "decay_norm_and_bias": _STATE,
    **dict.fromkeys(
        (
            *("backbone", "stem", "width_multiplier"),
            *("head_layers", "head_width", "head_batch_norm", "projection_size"),
        ),
        _WEIGHTS,
    ),
    **dict.fromkeys(
        (
            *("views", "temperature", "negatives", "seed"),
            *("augment", "crop_scale_min", "crop_scale_max", "crop_ratio_max", "flip_probability"),
            *("jitter_probability", "jitter_brightness", "jitter_contrast", "jitter_saturation", "jitter_hue"),
            *("grayscale_probability", "blur_probability", "blur_kernel", "blur_sigma_min", "blur_sigma_max"),
            *("same_on_batch", "normalisation"),
            *("epochs", "learning_rate", "learning_rate_scaling", "weight_decay", "momentum", "trust_coefficient"),
            *("clip_grad_norm", "ema_decay", "warmup_epochs", "warmup_start", "cosine_from", "milestones"),
            *("milestone_factor", "learning_rate_floor", "schedule"),
            *("precision", "channels_last", "compile", "deterministic", "threads"),
            *("knn_every", "validate_every", "health_every", "evaluate_at_end"),
        ),
        _ACCEPT,
    ),
}
"""The way of every setting that can change a result."""

_LABELLED_LIMITS = ("limit_images", "limit_per_class")


def changed_results(before: PretrainConfig, after: PretrainConfig) -> list[Field]:
    """The settings that differ and can change a result, in the order of the config.

    Where a folder of images lies is not what they are, so that a moved one is no difference.
    """
    return [
        field
        for field in fields_of(PretrainConfig)
        if field.setting.results
        and getattr(before, field.name) != getattr(after, field.name)
        and not (field.name == "dataset" and before.dataset.startswith(FOLDER) and after.dataset.startswith(FOLDER))
    ]


def changed_values(config: PretrainConfig, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `changes` that are no longer those of a config; paths become absolute, threads 0 no change."""
    wanted = dict(changes)
    if "dataset" in wanted:
        wanted["dataset"] = absolute_dataset(wanted["dataset"])
    if "data_dir" in wanted:
        wanted["data_dir"] = str(typed_path(wanted["data_dir"]).absolute())
    if wanted.get("threads") == 0:  # as many as the run was made with
        del wanted["threads"]
    return {name: value for name, value in wanted.items() if getattr(config, name) != value}


def absolute_dataset(dataset: str) -> str:
    """A data set whose folder, if it is one, can be found from anywhere."""
    if not dataset.startswith(FOLDER):
        return dataset
    return FOLDER + str(typed_path(dataset.removeprefix(FOLDER)).absolute())


def rule_of(name: str, config: PretrainConfig) -> Rule:
    """The rule of a setting that can change a result, for a run of that config."""
    if name in _LABELLED_LIMITS and config.is_supervised and config.hold_out:
        return RULES["hold_out"]
    return RULES[name]


def check_fork(before: PretrainConfig, after: PretrainConfig, *, fresh_optimizer: bool) -> None:
    """See that a run can go on from a checkpoint of other settings.

    Args:
        before: the settings of the checkpoint.
        after: those that are wanted.
        fresh_optimizer: whether the optimiser's state is dropped.

    Raises:
        ConfigError: for the first setting that forbids it, with the reason and the remedy.
    """
    for field in changed_results(before, after):
        rule = rule_of(field.name, before)
        made_with = f"the checkpoint was made with {shown(getattr(before, field.name))}, and {rule.why}"
        if rule.way is Way.NEVER:
            raise ConfigError(field.name, f"{made_with}; leave it out, or launch a new run")
        if rule.way is Way.OPTIMIZER and not fresh_optimizer:
            raise ConfigError(field.name, f"{made_with}; give --fresh-optimizer to begin without it, or leave it out")


def described(before: PretrainConfig, after: PretrainConfig, names: list[str]) -> str:
    """What changes, in words: `epochs 500 → 600, temperature 0.07 → 0.1`."""
    return ", ".join(f"{name} {shown(getattr(before, name))} → {shown(getattr(after, name))}" for name in names)


def rate_change(before: PretrainConfig, after: PretrainConfig, *, step: int, steps_per_epoch: int | None) -> str:
    """How the learning rate of the step after `step` changes, in words; empty where it does not."""
    if not steps_per_epoch:
        return ""
    rates = [learning_rate(step + 1, steps_per_epoch, config) for config in (before, after)]
    if rates[0] == rates[1]:
        return ""
    words = f"the learning rate of step {step + 1:,} goes from {rates[0]:.4g} to {rates[1]:.4g}"
    if before.epochs != after.epochs and not after.milestones:
        words = f"the cosine is then one over {after.epochs:,} epochs instead of {before.epochs:,}, and {words}"
    return words


def as_options(config: PretrainConfig, fields: list[Field]) -> str:
    """Settings as a command line has them, with the values of a config."""
    words = []
    for field in fields:
        value = getattr(config, field.name)
        if field.kind is bool:
            words.append(field.option if value else f"--no-{field.option[2:]}")
        else:
            words.append(f"{field.option} {shlex.quote(str(value))}")
    return " ".join(words)


def shown(value: Any) -> str:
    """A value as it is written in a sentence."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value) or "none"
