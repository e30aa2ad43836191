"""Going on from a checkpoint: into the same run, or into one that was forked from it with other settings."""

from collections.abc import Mapping
from typing import Any

from trainer.fork_plan import REASON
from trainer.step import TrainState

_SETTINGS_OF_GROUPS = ("weight_decay", "momentum", "trust_coefficient")
"""What an optimiser's state has that belongs to the settings: loading it must not bring back the old ones."""


def restore(
    state: TrainState, payload: Mapping[str, Any], manifest: Mapping[str, Any], *, steps_per_epoch: int
) -> list[str]:
    """Become what a checkpoint stored, as far as the run's settings are those that it was made with.

    Args:
        state: as it was built from the run's settings.
        payload: of the checkpoint.
        manifest: of the checkpoint.
        steps_per_epoch: of the run.

    Returns:
        A sentence for whatever is not as the checkpoint has it.

    Raises:
        DataError: it is of another architecture. Nothing was changed then.
    """
    told = []
    adapted = dict(payload)
    if state.ema is not None and "ema" not in payload:
        adapted["ema"] = payload["model"]
        told.append("the moving average begins as the weights")
    if state.ema is None and "ema" in payload:
        told.append("the moving average is dropped, and scores are those of the weights")
    is_fork = manifest.get("reason") == REASON
    if is_fork and manifest.get("fresh_optimizer"):
        adapted["optimizer"] = state.optimizer.state_dict()
        told.append("the optimiser begins anew")
    settings = [{n: group[n] for n in _SETTINGS_OF_GROUPS if n in group} for group in state.optimizer.param_groups]
    state.restore(adapted)
    for group, own in zip(state.optimizer.param_groups, settings, strict=True):
        group.update(own)
    before = manifest.get("parent_steps_per_epoch") if is_fork else None
    if before and before != steps_per_epoch:
        told.append(_begin_epoch(state, before, steps_per_epoch))
    return told


def _begin_epoch(state: TrainState, before: int, now: int) -> str:
    """Go to the start of the first epoch that is not closed; there is no place in its middle that both counts know."""
    inside = state.step - state.closed_epochs * before
    state.step = state.closed_epochs * now
    state.clock = type(state.clock)(trained=state.clock.trained_seconds)
    words = f"an epoch has {now:,} steps instead of {before:,}, so it goes on at the start of epoch "
    words += f"{state.closed_epochs + 1}, as step {state.step + 1:,}"
    if inside:
        words += f"; the weights have learnt from {inside:,} steps of that epoch already"
    return words
