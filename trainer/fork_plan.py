"""What a fork would be, before anything is made: its settings, whether it can begin, and the words about it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from trainer.changes import Way, changed_results, changed_values, check_fork, described, rate_change, rule_of
from trainer.config import PretrainConfig
from trainer.errors import ConfigError, UsageError
from trainer.manifest import Manifest
from trainer.store.records import TRAINED_KINDS, Checkpoint, Run

REASON = "fork"
"""The reason (`checkpoints.reason`) of the checkpoint that a child begins from."""


def fork_config(parent: Run, changes: Mapping[str, Any]) -> PretrainConfig:
    """The settings of a child: the parent's with some changed.

    Raises:
        UsageError: the parent has no such settings.
        ConfigError: a value is wrong.
    """
    if parent.kind not in TRAINED_KINDS:
        raise UsageError(
            f"{parent.name} is of kind {parent.kind} and trains nothing; name a run that trains to fork it"
        )
    before = PretrainConfig.from_json(parent.config)
    return dataclasses.replace(before, **changed_values(before, changes))


def check_start(
    parent: Run, checkpoint: Manifest | Checkpoint, config: PretrainConfig, *, fresh_optimizer: bool
) -> None:
    """See that a child of those settings can go on from a checkpoint, and that something is left to train.

    Raises:
        ConfigError: naming the setting that forbids it.
        UsageError: the checkpoint was made with other settings than its run's.
    """
    made_with = PretrainConfig.from_json(parent.config)
    if isinstance(checkpoint, Manifest):
        drifted = changed_results(checkpoint.config, made_with)
        if drifted:
            words = described(checkpoint.config, made_with, [field.name for field in drifted[:3]])
            raise UsageError(
                f"the checkpoint of step {checkpoint.step} was made with other settings than {parent.name} has now "
                f"({words}); put the run's own settings back"
            )
    check_fork(made_with, config, fresh_optimizer=fresh_optimizer)
    reached, epoch = checkpoint.step, checkpoint.epoch
    if config.epochs < epoch or (config.epochs == epoch and is_end(parent, checkpoint)):
        raise ConfigError(
            "epochs",
            f"the checkpoint of step {reached:,} is in epoch {epoch} already, so that {config.epochs} leave nothing to "
            f"train; give more than {epoch}, or an earlier --step",
        )


def start_words(parent: Run, checkpoint: Manifest | Checkpoint, config: PretrainConfig) -> str:
    """What a fork changes and from where it goes on, in one line: for events, the command line and the dashboard."""
    before = PretrainConfig.from_json(parent.config)
    names = [field.name for field in changed_results(before, config)]
    where = f"step {checkpoint.step:,} (epoch {checkpoint.epoch})"
    if not names:
        return f"{where} · no setting that matters to the result is changed"
    changes = described(before, config, names)
    if any(rule_of(name, before).way is Way.FORK for name in names):
        return f"{where} · {changes} · it goes on at the start of an epoch, since the steps of one may be others"
    rate = rate_change(before, config, step=checkpoint.step, steps_per_epoch=parent.steps_per_epoch)
    return f"{where} · {changes}" + (f" · {rate}" if rate else "")


def is_end(parent: Run, checkpoint: Manifest | Checkpoint) -> bool:
    """Whether a checkpoint of the last epoch has nothing left of it: its end was scored."""
    if checkpoint.reason == "final":
        return True
    per_epoch = parent.steps_per_epoch
    return (
        checkpoint.reason in ("milestone", "best", REASON)
        and bool(per_epoch)
        and checkpoint.step == checkpoint.epoch * (per_epoch or 0)
    )
