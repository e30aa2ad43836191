"""Making runs and starting their trainers: the one way in for the dashboard and the command line alike."""

import dataclasses
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size

from trainer.config import FOLDER, TIMM, PretrainConfig
from trainer.errors import BusyError, ConfigError, StoreError, UsageError
from trainer.evaluate_config import EvaluateConfig
from trainer.process import identity, launch, making_runs, wait_until_free
from trainer.settings import fields_of
from trainer.state import LIVE_STATES, RESUMABLE_STATES, run_state
from trainer.store.records import TRAINED_KINDS, Run
from trainer.store.runs import RunStore

LONGEST_NAME = 60
"""Terminal cells that a run's name may take."""

_RELEASE_SECONDS = 15.0


def new_pretrain_run(store: RunStore, config: PretrainConfig, *, preset: str | None = None, name: str = "") -> str:
    """Add a pretraining run that has not started; its id. Commits.

    The number of threads is settled here: bits depend on it, so a resumed run must use the same. So are paths, since
    a run may be resumed from another folder.

    Raises:
        ConfigError: the name can't be shown in a line, or the data set's folder is not there.
    """
    name = name.strip()
    if not name.isprintable() or cell_len(name) > LONGEST_NAME:
        raise ConfigError("name", f"{name!r} does not fit a line; give at most {LONGEST_NAME} printable characters")
    config = dataclasses.replace(
        config,
        threads=config.threads or available_cores(),
        dataset=_absolute(config.dataset),
        data_dir=str(Path(config.data_dir).expanduser().absolute()),
    )
    if config.dataset.startswith(FOLDER) and not Path(config.dataset.removeprefix(FOLDER)).is_dir():
        raise ConfigError("dataset", f"{config.dataset.removeprefix(FOLDER)} is not a folder; check the path")
    if config.backbone.startswith(TIMM) and find_spec("timm") is None:
        raise ConfigError("backbone", f"{config.backbone} needs `pip install 'simclr-tui[timm]'`; or choose resnet18")
    return store.create_run(
        kind=config.kind,
        name=name or _default_name(store, config, preset),
        config=config.to_json(),
        preset=preset,
        batch_size=config.batch_size,
    )


def new_evaluate_run(store: RunStore, source: Run, config: EvaluateConfig) -> str:
    """Add a job that scores a checkpoint of a run; its id. Commits.

    Raises:
        UsageError: the run is not one that has an encoder to score, has no checkpoint yet, or a job that has not ended
            makes the same figures, which the two would overwrite.
        ConfigError: it has none of that step.
    """
    if source.kind not in TRAINED_KINDS:
        raise UsageError(f"{source.name} is of kind {source.kind}; name a run that trains to evaluate it")
    steps = [row.step for row in store.checkpoints(source.id)]
    if not steps:
        state = run_state(source, store.runs_path)
        remedies = dict.fromkeys(LIVE_STATES, "wait for its first one")
        remedies |= dict.fromkeys(RESUMABLE_STATES, "resume it first")
        raise UsageError(f"{source.name} has no checkpoint; {remedies.get(state, 'launch a new run')}")
    if config.step and config.step not in steps:
        there_are = ", ".join(map(str, sorted(steps)))
        raise ConfigError("step", f"{source.name} has no checkpoint of step {config.step}; it has {there_are}")
    if config.projection == "umap" and find_spec("umap") is None:
        raise ConfigError("projection", "umap needs `pip install 'simclr-tui[umap]'`; or choose tsne or pca")
    config = dataclasses.replace(
        config,
        run=source.id,
        threads=config.threads or available_cores(),
        dataset=_absolute(config.dataset),
        data_dir=str(Path(config.data_dir).expanduser().absolute()) if config.data_dir else "",
    )
    if config.dataset.startswith(FOLDER) and not Path(config.dataset.removeprefix(FOLDER)).is_dir():
        raise ConfigError("dataset", f"{config.dataset.removeprefix(FOLDER)} is not a folder; check the path")
    name = f"{source.name}-{'evaluate' if config.what == 'layers' else config.what}"
    with making_runs(store.runs_path):
        _refuse_second(store, source, config)
        return store.create_run(kind="evaluate", name=name, config=config.to_json(), source_run_id=source.id)


def _refuse_second(store: RunStore, source: Run, config: EvaluateConfig) -> None:
    """See that no job which has not ended looks at the same checkpoint in the same way on the same data set."""
    checkpoints = store.checkpoints(source.id)
    step = config.step or max(row.step for row in checkpoints)
    for job in store.runs():
        if job.kind != "evaluate" or job.source_run_id != source.id:
            continue
        state = run_state(job, store.runs_path)
        if state != "queued" and state not in LIVE_STATES:
            continue
        other = EvaluateConfig.from_json(job.config)
        # A job of the newest checkpoint took it when it began, which may be one that came after the job was made.
        newest_then = max((row.step for row in checkpoints if row.at <= job.created_at), default=0)
        is_same_step = step == other.step if other.step else step >= newest_then
        if is_same_step and (other.what, other.dataset) == (config.what, config.dataset):
            remedy = "resume it instead" if state == "queued" else "wait for it to end, or stop it first"
            words = f"{job.name} ({job.id}) is {state} and evaluates {config.what} of the same checkpoint"
            raise UsageError(f"{words}; {remedy}")


def start_run(store: RunStore, run_id: str) -> subprocess.Popen[bytes]:
    """Launch the trainer of a run that is new, paused, stopped, failed or interrupted, in the background.

    Raises:
        UsageError: the run is alive or finished, so there is nothing to start.
        BusyError: its last trainer takes long to end.
        StoreError: its log cannot be written.
    """
    run = store.run(run_id)
    state = run_state(run, store.runs_path)
    if state in LIVE_STATES:
        raise UsageError(f"{run.name} is {state} already; pause or stop it first")
    if state not in RESUMABLE_STATES:
        raise UsageError(f"{run.name} is {state}; there is nothing left to resume")
    # A trainer that has just said "paused" may need a moment more to end.
    if not wait_until_free(store.runs_path, run_id, seconds=_RELEASE_SECONDS):
        raise BusyError(f"the last trainer of {run.name} has not ended yet; try again in a moment")
    # The event comes before the process, which would otherwise find its own "started" overwritten.
    store.lifecycle(run_id, "launched", "trainer launched in the background", pid=None)
    try:
        child = launch(store.runs_path, run_id)
    except StoreError as error:
        store.lifecycle(run_id, "failed", str(error), level="error")
        raise
    store.set_launched_process(run_id, identity(child.pid).columns())
    return child


def change_settings(store: RunStore, run: Run, changes: dict[str, Any]) -> Run:
    """Give a run that is not alive other settings, as long as they can't change its result. Commits.

    Args:
        store: the store.
        run: the run; it is read again by the caller's trainer.
        changes: settings by name; one that has its value already is no change.

    Returns:
        The run as it is now.

    Raises:
        ConfigError: a setting could change the result, or its value is wrong.
        UsageError: the run is a job that has no such settings.
    """
    if run.kind not in TRAINED_KINDS:
        if changes:
            raise UsageError(f"{run.name} is of kind {run.kind} and takes no settings; leave them out")
        return run
    config = PretrainConfig.from_json(run.config)
    wanted = changes | {"dataset": _absolute(changes["dataset"])} if "dataset" in changes else changes
    changed = {name: value for name, value in wanted.items() if getattr(config, name) != value}
    if changed.get("threads") == 0:  # as many as the run was made with
        del changed["threads"]
    if not changed:
        return run
    moved = config.dataset.startswith(FOLDER) and str(changed.get("dataset", "")).startswith(FOLDER)
    for field in fields_of(PretrainConfig):
        if field.name in changed and field.setting.results and not (field.name == "dataset" and moved):
            reason = (
                f"{run.name} was made with {getattr(config, field.name)}, and another value would change its result"
            )
            raise ConfigError(field.name, f"{reason}; leave it out, or launch a new run")
    store.update_run(run.id, config=dataclasses.replace(config, **changed).to_json())
    words = ", ".join(f"{name} {getattr(config, name)} → {value}" for name, value in changed.items())
    store.event(run.id, "settings", f"settings changed: {words}")
    return store.run(run.id)


def _absolute(dataset: str) -> str:
    """A data set whose folder, if it is one, can be found from anywhere."""
    if not dataset.startswith(FOLDER):
        return dataset
    return FOLDER + str(Path(dataset.removeprefix(FOLDER)).expanduser().absolute())


def available_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _default_name(store: RunStore, config: PretrainConfig, preset: str | None) -> str:
    """A name that is not taken yet, from the preset or the data set."""
    dataset = config.dataset.removeprefix("folder:").rstrip("/").rpartition("/")[2]
    plain = "".join(letter if letter.isprintable() else "_" for letter in dataset)
    base = preset or f"{set_cell_size(plain, min(cell_len(plain), LONGEST_NAME // 2))}-{config.backbone}"
    taken = {run.name for run in store.runs()}
    return next(name for n in range(1, len(taken) + 2) if (name := f"{base}-{n}" if n > 1 else base) not in taken)
