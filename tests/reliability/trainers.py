"""Real trainer processes, started fast: a fork server imports torch once, and forks each trainer."""

import multiprocessing
import os
import random
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
from torch import Tensor

from tests.processes import until as until
from tests.reliability import hanging, losing, measuring, telling
from trainer import checkpoint
from trainer.config import PretrainConfig
from trainer.paths import checkpoint_dir
from trainer.store import StoreReader

TINY = {
    "--dataset": "shapes",
    "--limit-per-class": "8",
    "--limit-test-per-class": "4",
    "--image-size": "16",
    "--backbone": "resnet-narrow",
    "--head-width": "16",
    "--projection-size": "8",
    "--batch-size": "10",
    "--epochs": "3",
    "--learning-rate": "1e-3",
    "--num-workers": "0",
    "--threads": "1",
    "--checkpoint-seconds": "0",
}
"""24 steps in three epochs of 8, a checkpoint after each: seconds on one core."""

UNSCORED: dict[str, str | bool] = {"knn_every": "0", "validate_every": "0", "health_every": "0"}
"""For tests that look at steps and weights alone: scoring is half the time of such a run."""

WAIT_SECONDS = 90

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["trainer.run", "trainer.pretrain", "trainer.evaluate", "trainer.benchmark.job", "trainer.store.migrations"]
)


def options(**changes: str | bool) -> list[str]:
    """TINY as a command line with some options changed: `options(num_workers="2", evaluate_at_end=False)`."""
    chosen: dict[str, str | bool] = dict(TINY) | {"--evaluate-at-end": False}
    chosen |= {"--" + name.replace("_", "-"): value for name, value in changes.items()}
    line: list[str] = []
    for name, value in chosen.items():
        if isinstance(value, bool):
            line.append(name if value else "--no-" + name.removeprefix("--"))
        else:
            line += [name, value]
    return line


def _unkey_randomness() -> None:
    """The negative control: draws that come from one generator that runs on, as most trainers have them."""
    import torch

    from trainer import loader

    kept = torch.Generator().manual_seed(0)

    def permutation(_seed: int, _epoch: int | str, n: int) -> Tensor:
        return torch.randperm(n, generator=kept)

    def uniforms(_seed: int, _epoch: int | str, n: int, views: int, count: int, *, start: int = 0) -> Tensor:
        return torch.rand(n, views, count, generator=kept)

    vars(loader).update(permutation=permutation, uniforms=uniforms)


def _lose_the_average() -> None:
    """The negative control: a resumed run whose moving average of the weights begins anew."""
    from trainer.step import TrainState

    restore = TrainState.restore

    def restore_all_but_the_average(self: TrainState, payload: dict[str, Any]) -> None:
        self.ema, kept = None, self.ema
        restore(self, payload)
        self.ema = kept

    TrainState.restore = restore_all_but_the_average  # type: ignore[method-assign]


def _lose_the_device_lock() -> None:
    """The negative control: trainers that believe that they have the device to themselves."""
    from trainer.device_lock import DeviceLock

    DeviceLock.try_alone = lambda self: True  # type: ignore[method-assign]


def _keep_the_forked_checkpoint() -> None:
    """The negative control: a fork that counts its steps anew beside a checkpoint that still looks newer."""
    from trainer.keeper import CheckpointKeeper

    CheckpointKeeper.drop = lambda self, step: None  # type: ignore[method-assign]


_CONTROLS = (
    {
        "": lambda: None,
        "fork-kept": _keep_the_forked_checkpoint,
        "unkeyed": _unkey_randomness,
        "ema-lost": _lose_the_average,
        "device-lock-lost": _lose_the_device_lock,
    }
    | hanging.CONTROLS
    | losing.CONTROLS
    | measuring.CONTROLS
    | telling.CONTROLS
)


def _main(arguments: Sequence[str], log: str, control: str, environment: dict[str, str]) -> None:
    from trainer.run import main

    os.environ.update(environment)  # the fork server has the one of when it was started

    # What a trainer that was started by a command line has, and what a forked one does not inherit.
    multiprocessing.set_start_method("fork", force=True)
    _CONTROLS[control]()

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    code = main(arguments)
    sys.stdout.flush()
    os._exit(code)


started: list["Trainer"] = []
"""Every trainer of a test; a fixture ends what a failed test left behind."""


class Trainer:
    """One trainer process of a runs folder."""

    def __init__(
        self,
        runs: Path,
        *arguments: str,
        control: str = "",
        log: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start it with these arguments beside --runs-dir, broken on purpose as a negative control says."""
        self.log = log or runs.with_suffix(".log")
        line = ["--runs-dir", str(runs), *arguments]
        around = {"SIMCLR_TUI_LOCKS": os.environ["SIMCLR_TUI_LOCKS"], "SIMCLR_TUI_NOTIFY": "off", **(environment or {})}
        self.process = _context.Process(target=_main, args=(line, str(self.log), control, around), daemon=False)
        self.process.start()
        started.append(self)

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self.process.pid is not None
        return self.process.pid

    def wait(self) -> int:
        """Its exit code; -9 after kill -9."""
        self.process.join(WAIT_SECONDS)
        assert self.process.exitcode is not None, f"still running: {self.log.read_text()}"
        return self.process.exitcode

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.wait()

    def said(self) -> str:
        """Everything that was printed."""
        return self.log.read_text() if self.log.exists() else ""


def run_to_end(runs: Path, *arguments: str, control: str = "") -> str:
    """Start a trainer, wait until it has finished, and give the id of the newest run."""
    trainer = Trainer(runs, *arguments, control=control)
    assert trainer.wait() == 0, trainer.said()
    return newest_run(runs)


def workers(pid: int) -> list[int]:
    """Process ids of a trainer's loader workers: its children but the watchdog, which is another program."""
    children = psutil.Process(pid).children()
    return [child.pid for child in children if "trainer.watchdog" not in child.cmdline()]


def newest_run(runs: Path) -> str:
    """The id of the newest run of a folder."""
    reader = StoreReader.open(runs)
    try:
        return reader.runs()[0].id
    finally:
        reader.close()


def steps(runs: Path, run_id: str) -> list[tuple[Any, ...]]:
    """Every column of `steps` but the times, in order."""
    return _select(runs, run_id, "step, epoch, loss, acc_top1, acc_top5, acc_mean_pos, lr, grad_norm", "steps")


def scores(runs: Path, run_id: str) -> list[tuple[Any, ...]]:
    """What was scored at the end of each epoch."""
    return _select(runs, run_id, "epoch, loss, val_loss, val_acc_top1, val_acc_mean_pos, knn_top1", "epochs")


def _select(runs: Path, run_id: str, columns: str, table: str) -> list[tuple[Any, ...]]:
    """Rows of a run in the order of their first column, read with nothing but SQLite."""
    connection = sqlite3.connect(f"file:{runs / 'runs.db'}?mode=ro", uri=True)
    try:
        query = f"SELECT {columns} FROM {table} WHERE run_id = ? ORDER BY 1, 2"
        return connection.execute(query, (run_id,)).fetchall()
    finally:
        connection.close()


def measured(runs: Path, run_id: str) -> list[tuple[Any, ...]]:
    """What was measured of the embeddings, by name and step."""
    return _select(runs, run_id, "name, step, value", "metrics")


def weights(runs: Path, run_id: str) -> dict[str, Tensor]:
    """The model of the run's newest checkpoint."""
    model: dict[str, Tensor] = newest_payload(runs, run_id)["model"]
    return model


def newest_payload(runs: Path, run_id: str) -> dict[str, Any]:
    """Everything that the run's newest checkpoint holds."""
    reader = StoreReader.open(runs)
    try:
        config = PretrainConfig.from_json(reader.run(run_id).config)
    finally:
        reader.close()
    folder = checkpoint_dir(runs, run_id)

    # By digest: a last life that finds everything done may have changed what changes no result, such as the workers.
    def fits(manifest: checkpoint.Manifest) -> bool:
        return PretrainConfig.from_json(manifest["config"]).digest() == config.digest()

    found = checkpoint.latest_valid(folder, fits, lambda *_: None, owner=False)
    assert found is not None
    return found[0]


def interrupt_and_resume(runs: Path, run_id: str, kills: int, draw: random.Random) -> int:
    """Kill -9 and resume a run that exists until it has finished; how many kills hit a live trainer.

    A kill comes a random moment after the trainer has taken its first step of this life.
    """
    landed = 0
    for _ in range(kills):
        trainer = Trainer(runs, "--run", run_id)
        finished = _wait_for_a_checkpoint(runs, run_id)
        if not finished:
            time.sleep(draw.uniform(0.0, 0.3))
            landed += 1
        trainer.kill()
    trainer = Trainer(runs, "--run", run_id)
    assert trainer.wait() == 0, trainer.said()
    return landed


def _wait_for_a_checkpoint(runs: Path, run_id: str) -> bool:
    """Wait until the trainer that was just started has written one; whether it finished instead."""
    reader = StoreReader.open(runs)
    folder = checkpoint_dir(runs, run_id)
    seen = checkpoint.steps_on_disk(folder)
    until(lambda: reader.run(run_id).lifecycle == "finished" or checkpoint.steps_on_disk(folder) != seen)
    finished = reader.run(run_id).lifecycle == "finished"
    reader.close()
    return finished
