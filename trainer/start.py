"""Making runs and starting their trainers: the one way in for the dashboard and the command line alike."""

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size

from trainer import elsewhere
from trainer.benchmark_config import BenchmarkConfig
from trainer.changes import absolute_dataset
from trainer.config import TIMM, PretrainConfig
from trainer.devices import device_name, gpus
from trainer.errors import BusyError, ConfigError, StoreError, UsageError
from trainer.evaluate_config import EvaluateConfig
from trainer.lab.trials import settled
from trainer.paths import typed_path
from trainer.people import by_whom
from trainer.process import identity, launch, lock_holder, making_runs, refuse_unwritable, wait_until_free
from trainer.queue import WAITING_KINDS, device_setting, enqueue
from trainer.quote import quoted
from trainer.serialised import FOLDER
from trainer.slurm.submit import refuse_here
from trainer.startable import refuse_unstartable
from trainer.state import LIVE_STATES, RESUMABLE_STATES, run_state
from trainer.store.labels import labels_of, refuse_trashed
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
    name = checked_name(name)
    config = settled_config(config)
    return store.create_run(
        kind=config.kind,
        name=name or _default_name(store, config, preset),
        config=config.to_json(),
        preset=preset,
        batch_size=config.batch_size,
    )


def settled_config(config: PretrainConfig) -> PretrainConfig:
    """Settings that hold wherever the run is resumed: absolute paths, and the number of threads.

    Raises:
        ConfigError: what they name is not there.
    """
    config = dataclasses.replace(
        config,
        threads=config.threads or available_cores(),
        dataset=absolute_dataset(config.dataset),
        data_dir=str(typed_path(config.data_dir).absolute()),
    )
    if config.dataset.startswith(FOLDER) and not Path(config.dataset.removeprefix(FOLDER)).is_dir():
        raise ConfigError("dataset", f"{config.dataset.removeprefix(FOLDER)} is not a folder; check the path")
    if config.backbone.startswith(TIMM) and find_spec("timm") is None:
        raise ConfigError("backbone", f"{config.backbone} needs `pip install 'simclr-tui[timm]'`; or choose resnet18")
    return config


def new_benchmark_run(store: RunStore, config: BenchmarkConfig, *, name: str = "") -> str:
    """Add a benchmark that has not started; its id. Commits.

    Paths, the number of threads and the trials are settled here: it may be resumed where other cores are at hand.

    Raises:
        ConfigError: the name can't be shown in a line, or the data set's folder is not there.
        UsageError: the run whose settings it says that it has is not there.
    """
    name = checked_name(name)
    base = settled_config(config.base_config)
    config = dataclasses.replace(config, base=_not_default(base), threads=config.threads or available_cores())
    config = settled(config)
    if config.of:
        store.find(config.of)
    plain = f"benchmark-{config.preset or plain_name(base)}"
    return store.create_run(
        kind="benchmark",
        name=name or _untaken(store, plain),
        config=config.to_json(),
    )


def _not_default(config: PretrainConfig) -> str:
    """The settings that differ from the defaults, as a JSON object."""
    defaults = dataclasses.asdict(PretrainConfig())
    return json.dumps({name: value for name, value in dataclasses.asdict(config).items() if value != defaults[name]})


def checked_name(name: str) -> str:
    """A person's name for a run, without the blanks around it.

    Raises:
        ConfigError: it can't be shown in a line.
    """
    name = name.strip()
    # A letter may carry any number of accents, which take no cells.
    if len(name) > 4 * LONGEST_NAME or not name.isprintable() or cell_len(name) > LONGEST_NAME:
        words = f"does not fit a line; give at most {LONGEST_NAME} printable characters"
        raise ConfigError("name", f"{quoted(name)} {words}")
    return name


def rename_run(store: RunStore, run: Run, name: str) -> str:
    """Call a run something else, also one that is alive, and record it; the name as it is kept. Commits durably.

    Raises:
        ConfigError: the name is empty, or can't be shown in a line.
    """
    name = checked_name(name)
    if not name:
        raise ConfigError("name", "it is empty; give at least one character")
    if name != run.name:
        words = f"was called {run.name}, and is {name} from now on{by_whom(run)}"
        store.update_and_tell(run.id, "renamed", words, name=name)
    return name


def new_evaluate_run(store: RunStore, source: Run, config: EvaluateConfig) -> str:
    """Add a job that scores a checkpoint of a run; its id. Commits.

    Raises:
        UsageError: the run is not one that has an encoder to score, is in the trash, has no checkpoint yet, or a job
            that has not ended makes the same figures, which the two would overwrite.
        ConfigError: it has none of that step.
    """
    refuse_trashed(store, source)
    if source.kind not in TRAINED_KINDS:
        raise UsageError(f"{source.name} is of kind {source.kind}; name a run that trains to evaluate it")
    refuse_unwritable(store.runs_path, source.id)
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
        dataset=absolute_dataset(config.dataset),
        data_dir=str(typed_path(config.data_dir).absolute()) if config.data_dir else "",
    )
    if config.dataset.startswith(FOLDER) and not Path(config.dataset.removeprefix(FOLDER)).is_dir():
        raise ConfigError("dataset", f"{config.dataset.removeprefix(FOLDER)} is not a folder; check the path")
    name = f"{source.name}-{'evaluate' if config.what == 'layers' else config.what}"
    with making_runs(store.runs_path):
        for job, state in _equal_jobs(store, source.id, config):
            remedy = "resume it instead" if state == "queued" else "wait for it to end, or stop it first"
            raise UsageError(f"{_same(job, state, config)}; {remedy}")
        return store.create_run(kind="evaluate", name=name, config=config.to_json(), source_run_id=source.id)


@contextmanager
def only_evaluation(store: RunStore, run: Run) -> Iterator[None]:
    """See that no equal job lives, and let none begin meanwhile: the two would overwrite each other's figures.

    An interrupted job may have been followed by an equal one. Asks for no lock of the run itself.

    Raises:
        BusyError: one lives.
    """
    if run.kind != "evaluate":
        yield
        return
    with making_runs(store.runs_path):
        config = EvaluateConfig.from_json(run.config)
        for job, state in _equal_jobs(store, config.run, config, but=run.id):
            if state != "queued":
                raise BusyError(f"{_same(job, state, config)}; wait for it to end, or stop it first")
        yield


def _same(job: Run, state: str, config: EvaluateConfig) -> str:
    return f"{job.name} ({job.id}) is {state} and evaluates {config.what} of the same checkpoint"


def _equal_jobs(store: RunStore, source_id: str, config: EvaluateConfig, *, but: str = "") -> Iterator[tuple[Run, str]]:
    """Jobs that have not ended and look at the same checkpoint in the same way on the same data set, with their state.

    Args:
        store: the store.
        source_id: the run that is evaluated.
        config: of the evaluation.
        but: the id of a job that is left out.
    """
    checkpoints = store.checkpoints(source_id)
    step = config.step or max((row.step for row in checkpoints), default=0)
    for job in store.runs():
        if job.kind != "evaluate" or job.source_run_id != source_id or job.id == but:
            continue
        state = run_state(job, store.runs_path)
        if state != "queued" and state not in LIVE_STATES:
            continue
        try:
            other = EvaluateConfig.from_json(job.config)
        except ConfigError:  # edited by hand; its own trainer refuses it
            continue
        # A job of the newest checkpoint took it when it began, which may be one that came after the job was made.
        newest_then = max((row.step for row in checkpoints if row.at <= job.created_at), default=0)
        is_same_step = step == other.step if other.step else step >= newest_then
        if is_same_step and (other.what, other.dataset) == (config.what, config.dataset):
            yield job, state


def start_run(
    store: RunStore, run_id: str, *, in_line: bool = False, restarts: int | None = None
) -> subprocess.Popen[bytes]:
    """Launch the trainer of a run that is new, paused, stopped, failed or interrupted, in the background.

    Args:
        store: the store.
        run_id: the run.
        in_line: whether it waits for its device behind others, in its old place if it was in line before.
        restarts: how often it is started again after a crash; None leaves what is left of what was asked for before.

    Raises:
        UsageError: the run is alive or finished, so there is nothing to start, or in the trash, or can't wait in line.
        BusyError: its last trainer takes long to end, or an equal evaluation lives.
        StoreError: its files cannot be written.
    """
    run = store.run(run_id)
    if in_line and run.kind not in WAITING_KINDS:
        raise UsageError(f"--queue: {run.name} is of kind {run.kind}, which never waits for a device; leave it out")
    refuse_unstartable(store, run)
    refuse_here(store, run)
    # A trainer that has just said "paused" may need a moment more to end.
    if not wait_until_free(store.runs_path, run_id, seconds=_RELEASE_SECONDS):
        raise BusyError(f"the last trainer of {run.name} has not ended yet; try again in a moment")
    # The event comes before the process, which would otherwise find its own "started" overwritten.
    left = run.restarts_left if restarts is None else restarts
    with only_evaluation(store, run):
        store.lifecycle(run_id, "launched", "trainer launched in the background", pid=None, restarts_left=left)
    if in_line:  # here and not only in the trainer, so that the order is that of the launches
        enqueue(store, run_id, _device_name(run))
    try:
        child = launch(store.runs_path, run_id, in_line=in_line, is_supervised=bool(left))
    except StoreError as error:
        store.lifecycle(run_id, "failed", str(error), level="error")
        raise
    store.set_launched_process(run_id, identity(child.pid).columns())
    return child


def _device_name(run: Run) -> str:
    return device_name(device_setting(run), gpus())


def restart(store: RunStore, run_id: str, message: str, *, left: int, in_line: bool, owner: dict[str, Any]) -> bool:
    """Note that a supervisor starts a run again; False if somebody else has started it, or it is over. Commits durably.

    Args:
        store: the store.
        run_id: the run.
        message: for the event.
        left: how many restarts are left after this one.
        in_line: whether it waits for its device; then it goes before all others, since it had its turn.
        owner: identity of the supervisor, which is the run's process until the trainer has its lock.
    """
    run = store.run(run_id)
    is_ours = run.lifecycle == "created" or (run.lifecycle == "launched" and run.pid in (None, owner["pid"]))
    is_dead = run_state(run, store.runs_path) in ("interrupted", "failed")
    is_trashed = labels_of(store, run_id).trashed_at is not None
    if lock_holder(store.runs_path, run_id) is not None or is_trashed or not (is_ours or is_dead):
        return False
    store.lifecycle(run_id, "launched", message, level="warning", restarts_left=left, **owner)
    if in_line:
        enqueue(store, run_id, _device_name(run), is_first=True)
    return True


def available_cores() -> int:
    """CPU cores that this process may use."""
    return elsewhere.available_cores()


def _default_name(store: RunStore, config: PretrainConfig, preset: str | None) -> str:
    """A name that is not taken yet, from the preset or the data set."""
    return _untaken(store, preset or plain_name(config))


def plain_name(config: PretrainConfig) -> str:
    """What a run without a preset is called, as long as no other one is."""
    dataset = config.dataset.removeprefix("folder:").rstrip("/").rpartition("/")[2]
    plain = "".join(letter if letter.isprintable() else "_" for letter in dataset)
    return f"{set_cell_size(plain, min(cell_len(plain), LONGEST_NAME // 2))}-{config.backbone}"


def _untaken(store: RunStore, base: str) -> str:
    taken = {run.name for run in store.runs()}
    return next(name for n in range(1, len(taken) + 2) if (name := f"{base}-{n}" if n > 1 else base) not in taken)
