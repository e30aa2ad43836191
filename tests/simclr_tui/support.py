"""Stores with runs in every state, a child process that holds a run's lock, and the text of a screen."""

import math
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

from simclr_tui.words import Part
from tests.simclr_tui.made_once import made_once
from trainer.config import PretrainConfig
from trainer.presets import load_preset
from trainer.start import new_pretrain_run
from trainer.store.records import StepRow
from trainer.store.runs import RunStore

AT_EACH_SIZE = pytest.mark.parametrize("size", [(80, 24), pytest.param((120, 36), marks=pytest.mark.screens)])
"""The smaller terminal by default, where least fits; the larger one with the tests of the dashboard at length."""

STEPS_PER_EPOCH = 23
EPOCHS = 15
LAYERS = {"pixels": (0.140, 0.161), "untrained": (0.139, 0.150), "z": (0.330, 0.310), "h": (0.334, 0.353)}

_HOLD = """
import sys, time
from pathlib import Path
from trainer.process import RunLock, identity
from trainer.store.runs import RunStore
runs, run_id = Path(sys.argv[1]), sys.argv[2]
lock = RunLock(runs, run_id)
store = RunStore.open(runs)
store.lifecycle(run_id, "started", "started by a test", **identity().columns())
store.update_run(run_id, progress_at=time.time() + 3600)
print("held", flush=True)
obeys = len(sys.argv) > 3
while True:
    time.sleep(0.1)
    for command in store.pending_commands(run_id) if obeys else []:
        ended = {"pause": "paused", "stop": "stopped"}[command.command]
        store.take_commands(run_id, ended)
        store.lifecycle(run_id, ended, f"{ended} on request")
        sys.exit(0)
"""


class Holder:
    """A process that looks like a run's live trainer: it holds the lock, and obeys if it is told to."""

    def __init__(self, runs: Path, run_id: str, *, obeys: bool = False) -> None:
        """Starts the process and waits until it holds the lock."""
        words = [sys.executable, "-c", _HOLD, str(runs), run_id, *(["obeys"] if obeys else [])]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def __enter__(self) -> "Holder":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def step_row(step: int, rng: random.Random) -> StepRow:
    """A step of a run that learns."""
    fading = math.exp(-step / (STEPS_PER_EPOCH * 6))
    return StepRow(
        step=step,
        epoch=(step - 1) // STEPS_PER_EPOCH + 1,
        loss=1.2 + 4.3 * fading + rng.gauss(0, 0.1),
        acc_top1=0.6 * (1 - fading),
        acc_top5=0.85 * (1 - fading),
        acc_mean_pos=4 + 128 * fading,
        lr=1e-3,
        grad_norm=1.0,
        t_data=0.002,
        t_batch=0.14,
    )


def add_run(
    store: RunStore,
    name: str,
    *,
    steps: int = 0,
    lifecycle: str | None = None,
    evaluated: bool = False,
    **settings: Any,
) -> str:
    """A demo run with so many steps that ended as it is told; its id."""
    config: PretrainConfig = load_preset("demo").config(**settings)
    run_id = new_pretrain_run(store, config, preset="demo", name=name)
    rng = random.Random(name)
    store.append(
        run_id,
        [step_row(step, rng) for step in range(1, steps + 1)],
        trained_seconds=steps * 0.142,
        total_steps=STEPS_PER_EPOCH * EPOCHS,
        steps_per_epoch=STEPS_PER_EPOCH,
        device="CPU (x86_64)",
    )
    for epoch in range(1, steps // STEPS_PER_EPOCH + 1):
        figures = {"loss": 2.0, "acc_top1": 0.5, "acc_top5": 0.7, "t_data": 0.002, "t_batch": 0.14, "t_epoch": 3.5}
        store.put_epoch(run_id, epoch, figures | {"images_per_second": 901.0, "knn_top1": 0.15 + 0.01 * epoch})
    if evaluated:
        store.put_evaluations(run_id, evaluation_rows(run_id, steps))
    if lifecycle:
        store.lifecycle(run_id, lifecycle, f"{lifecycle} by a test")
    return run_id


def evaluation_rows(run_id: str, step: int) -> list[dict[str, Any]]:
    """What the end of a run writes."""
    about = {"step": step, "labels_per_class": 0, "seed": 0, "images": 1500, "c": 1.0, "seconds": 1.0, "job_id": run_id}
    return [
        about | {"layer": layer, "protocol": protocol, "top1": figure, "top5": figure + 0.3}
        for layer, figures in LAYERS.items()
        for protocol, figure in zip(("knn", "linear"), figures, strict=True)
    ]


@made_once
def add_some_runs(runs: Path) -> dict[str, str]:
    """One run of every state that needs no live process; ids by name."""
    store = RunStore.open(runs)
    ids = {
        "done": add_run(store, "done", steps=345, lifecycle="finished", evaluated=True),
        "resting": add_run(store, "resting", steps=200, lifecycle="paused", temperature=0.5),
        "broken": add_run(store, "broken", steps=8, lifecycle="failed"),
        "waiting": add_run(store, "waiting"),
    }
    store.close()
    return ids


def plain(parts: Sequence[Part]) -> str:
    """Parts of a line without their styles."""
    return "".join(part if isinstance(part, str) else part[0] for part in parts)


def screen_text(app: App[Any]) -> str:
    """What a person sees, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def toasts(app: App[Any]) -> str:
    """Everything that was said in toasts that are still there."""
    return "\n".join(notification.message for notification in app._notifications)


async def wait_until(pilot: Pilot[Any], condition: Callable[[], bool], *, seconds: float = 30.0) -> float:
    """Wait for a condition; the seconds that it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s; the screen:\n{screen_text(pilot.app)}"
        await pilot.pause(0.02)
    return time.monotonic() - begun


async def wait_for_text(pilot: Pilot[Any], *texts: str, seconds: float = 30.0) -> float:
    """Wait until the screen shows every one of some texts; the seconds that it took."""
    return await wait_until(pilot, lambda: all(t in screen_text(pilot.app) for t in texts), seconds=seconds)
