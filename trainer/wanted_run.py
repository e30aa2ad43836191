"""The run that a trainer's command line means."""

import argparse

from trainer.config import PretrainConfig
from trainer.errors import UsageError
from trainer.fork import new_fork_run
from trainer.options import given
from trainer.presets import chosen_config
from trainer.process import making_runs
from trainer.start import new_pretrain_run
from trainer.store import RunStore
from trainer.store.labels import labels_of
from trainer.store.records import TRAINED_KINDS, Run


def find_or_make(store: RunStore, options: argparse.Namespace) -> Run:
    """The run that the options mean; a new one where they name none. Commits.

    Raises:
        TrainerError: there is no such run, or options don't go together.
    """
    if options.run:
        if options.preset or options.name:
            raise UsageError("--run: a run keeps its preset and its name; leave --preset and --name out")
        return store.find(options.run)
    if options.fork:
        if options.preset:
            raise UsageError("--fork: a child has its parent's settings to begin with; leave --preset out")
        more = {"step": options.step, "name": options.name, "fresh_optimizer": options.fresh_optimizer}
        parent = store.find(options.fork)
        return store.run(new_fork_run(store, parent, given(options, PretrainConfig), **more))
    if options.step or options.fresh_optimizer:
        raise UsageError("--step and --fresh-optimizer: only a fork takes them; give --fork RUN, or leave them out")
    name = options.resume_or_start
    with making_runs(store.runs_path):
        if name:
            same = [run for run in store.runs() if run.kind in TRAINED_KINDS and name in (run.id, run.name)]
            found = min(same, key=lambda run: labels_of(store, run.id).trashed_at is not None, default=None)
            if found is not None:
                _check_preset(found, options.preset)
                return found
        config = chosen_config(options.preset, given(options, PretrainConfig))
        return store.run(new_pretrain_run(store, config, preset=options.preset, name=options.name or name or ""))


def _check_preset(run: Run, preset: str | None) -> None:
    if preset and preset != run.preset:
        made_with = f"preset {run.preset}" if run.preset else "no preset"
        raise UsageError(f"--preset: {run.name} was made with {made_with}; leave --preset out, or choose another name")
