"""What a benchmark has for a run: settings that can be applied, and the rest for a fork. Pure."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simclr_tui.lab.bench import Bench, fork_command
from trainer.changes import changed_results, changed_values, described
from trainer.config import PretrainConfig
from trainer.errors import ConfigError, UsageError
from trainer.state import LIVE_STATES, RESUMABLE_STATES
from trainer.store.records import TRAINED_KINDS, Run


@dataclass(frozen=True, slots=True)
class Offer:
    """What a benchmark has for a run."""

    values: Mapping[str, Any]
    """Settings that can be applied, without those that the run has already."""
    changes: str
    """These in words: `num_workers 2 → 0, cache ram → vram`."""
    fork: str
    """The command that tries the rest in a child run; empty where nothing is left, or none can go on from there."""
    fork_changes: str
    """What the child would have, in words."""


def offer(bench: Bench, run: Run) -> Offer:
    """What the winner of a benchmark would change in a run.

    Raises:
        UsageError: the run trains nothing, or its settings can't be used.
        ConfigError: the settings do not go together with the run's other ones.
    """
    if run.kind not in TRAINED_KINDS:
        raise UsageError(f"{run.name} is of kind {run.kind} and trains nothing; name a run that trains")
    before = PretrainConfig.from_json(run.config)
    values = changed_values(before, bench.apply)
    after = dataclasses.replace(before, **values)
    rest = changed_values(before, bench.fork)
    fork, fork_changes = "", ""
    try:
        child = dataclasses.replace(before, **rest)
    except ConfigError:  # its other settings forbid it, so there is nothing to offer
        rest = {}
    if rest and changed_results(before, child):
        fork, fork_changes = fork_command(run, rest), described(before, child, list(rest))
    return Offer(values, described(before, after, list(values)), fork, fork_changes)


def refuse_apply(run: Run, state: str) -> str | None:
    """Why other settings can't be given to a run in that state, or None where they can."""
    if state in LIVE_STATES and state != "stopping":
        return None
    if state == "stopping":
        return f"{run.name} is stopping; apply it again once it has stopped"
    if state not in RESUMABLE_STATES:
        return f"{run.name} is {state}, so there is nothing left to make faster; name a run that goes on"
    return None


def nothing_to_apply(bench: Bench, run: Run, found: Offer) -> str:
    """Why nothing can be applied to a run, and what can be done instead."""
    if not bench.verdict.is_final:
        return f"{bench.run.name} has no verdict yet; {bench.verdict.sentences[0]}"
    if bench.apply:
        return f"{run.name} has the settings that {bench.run.name} recommends already; nothing is left to apply"
    words = f"{bench.run.name} found nothing faster that can be applied without changing the result of {run.name}"
    return f"{words}; try {found.fork_changes} in a child run: {found.fork}" if found.fork else f"{words}; leave it"
