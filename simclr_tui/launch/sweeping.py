"""Makes the runs of a sweep and puts them in line, for the form and the command line alike."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from simclr_tui.keys import key
from simclr_tui.launch.sweep import Planned
from trainer.errors import TrainerError, UsageError
from trainer.presets import chosen_config
from trainer.start import new_pretrain_run, settled_config, start_run
from trainer.store.labels import change_labels, read_labels, with_tags
from trainer.store.reader import StoreReader
from trainer.store.runs import RunStore


def make_runs(store: RunStore, preset: str | None, planned: Sequence[Planned], tag: str) -> list[str]:
    """Add the runs of a sweep with their common tag, none of them started; their ids, in order.

    Raises:
        ConfigError: what one of them names is not there; then none is made.
    """
    configs = [settled_config(chosen_config(preset, one.values)) for one in planned]
    ids = []
    for config, one in zip(configs, planned, strict=True):
        ids.append(new_pretrain_run(store, config, preset=preset, name=one.name))
        change_labels(store, ids[-1], lambda labels: with_tags(labels, [tag]))
    return ids


def queue_runs(
    store: RunStore, ids: Sequence[str], *, restarts: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Put runs in line in their order, giving back the process of each.

    Raises:
        UsageError: one could not be started; the sentence says how many wait already.
    """
    for number, run_id in enumerate(ids):
        try:
            yield start_run(store, run_id, in_line=True, restarts=restarts)
        except TrainerError as error:
            rest = (
                f"{number} of {len(ids)} runs are in line; {error}; {key('r', 'run.resume')} starts each of the others"
            )
            raise UsageError(rest) from error


def taken_names(runs: Path) -> set[str]:
    """The names and the tags of all runs of a folder that has a store."""
    with closing(StoreReader.open(runs)) as reader:
        labels = read_labels(reader).values()
        return {run.name for run in reader.runs()} | {tag for one in labels for tag in one.tags}
