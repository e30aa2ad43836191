"""A store that is the same whenever and wherever it is made: runs in every state at a moment that never passes."""

import math
import os
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.simclr_tui import learning_store
from tests.simclr_tui.bench_store import add_benchmark
from trainer.benchmark_config import BenchmarkConfig
from trainer.config import PretrainConfig
from trainer.parts import STEP_PARTS
from trainer.presets import load_preset
from trainer.store.labels import write_labels
from trainer.store.records import Labels, StepRow
from trainer.store.runs import RunStore

NOW = 1_767_638_520.0
"""5 January 2026, 18:42 in UTC."""
HOST = "gpubox"
"""No machine of these tests: its runs live by their heartbeat."""
GPU = "NVIDIA H100 80GB HBM3"
WATTS = 412.0
PER_EPOCH = 390
_EVERY = 13
"""Steps from one row to the next: enough to draw, and quick to write."""


@contextmanager
def stopped_clock() -> Iterator[None]:
    """The moment at which every picture is taken, in UTC."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        patch.setattr(time, "time", lambda: NOW)
        time.tzset()
        yield
    os.environ.pop("TZ", None)
    time.tzset()


def build(runs: Path) -> dict[str, str]:
    """Make the store; ids by name. Takes the clock to be stopped."""
    rng = random.Random(7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "choice", rng.choice)
        store = RunStore.open(runs)
        ids = {
            "nocache-w6": _finished(store, patch),
            "shapes-demo": _demo(store, patch),
            "kornia-w3": _paused(store, patch),
            "diverged": _failed(store, patch),
            "loader-h100": _benchmark(store, patch),
            "stl10-r18": _running(store, patch),
        }
        ids["stl10-r18-cold"] = _fork(store, patch, ids["stl10-r18"])
        ids["stl10-r50"] = _queued(store, patch)
        with _at(patch, 0.02):
            words = "checkpoint step 82,680 verified (138 MB)"
            store.event(ids["stl10-r18"], "checkpoint", words, step=82_680)
        store.close()
    return ids


@contextmanager
def _at(patch: pytest.MonkeyPatch, hours_ago: float) -> Iterator[None]:
    """What is written inside happened so many hours before the picture."""
    patch.setattr(time, "time", lambda: NOW - 3600 * hours_ago)
    yield
    patch.setattr(time, "time", lambda: NOW)


def _config(**settings: Any) -> PretrainConfig:
    return load_preset("stl10").config(**{"device": "cuda", **settings})


def _train(
    store: RunStore, run_id: str, *, epochs: float, of: int = 500, seed: int, floor: float = 0.5, best: float = 0.79
) -> None:
    """Steps, epochs, health series and device samples of a run that learns."""
    rng = random.Random(seed)
    last = round(epochs * PER_EPOCH)
    rows = []
    for step in sorted({*range(1, last + 1, _EVERY), last}):
        fading = math.exp(-step / (PER_EPOCH * 40)) * 0.6 + math.exp(-step / (PER_EPOCH * 4)) * 0.4
        wait = 0.09 if rng.random() < 0.004 else 0.0001 + 0.0001 * rng.random()
        rows.append(
            StepRow(
                step=step,
                epoch=(step - 1) // PER_EPOCH + 1,
                loss=floor + (6.2 - floor) * fading + rng.gauss(0, 0.05 + 0.1 * fading),
                acc_top1=0.93 * (1 - fading) + rng.gauss(0, 0.01),
                acc_top5=0.99 * (1 - fading),
                acc_mean_pos=1 + 250 * fading,
                lr=5e-4 * (1 + math.cos(math.pi * step / (of * PER_EPOCH))) / 2,
                grad_norm=1.4 + rng.gauss(0, 0.1),
                t_data=wait,
                t_batch=0.0049 + rng.gauss(0, 0.0001),
            )
        )
    progress = {"total_steps": of * PER_EPOCH, "steps_per_epoch": PER_EPOCH, "device": GPU, "host": HOST}
    store.append(run_id, rows, trained_seconds=epochs * 2.9, step_seconds=0.0051, **progress)
    store.update_run(run_id, step=last, epoch=last // PER_EPOCH)
    for epoch in range(1, int(epochs) + 1):
        figures = {"loss": floor + 5.7 * math.exp(-epoch / 40), "acc_top1": 0.9, "acc_top5": 0.98, "t_data": 0.0001}
        figures |= {"t_batch": 0.0049, "t_epoch": 2.9, "images_per_second": 34_400.0, "gpu_util": 93.0, "t_idle": 0.05}
        knn = best - 0.45 * math.exp(-epoch / 60) + rng.gauss(0, 0.004)
        used = {"energy_joules": epoch * 2.9 * WATTS, "cpu_energy_joules": epoch * 2.9 * 143.0}
        store.put_epoch(run_id, epoch, figures | used | {"knn_top1": knn if epoch % 5 == 0 else None})
        if epoch % 5 == 0:
            health = {"rank_z": min(96.0, 4.0 + epoch), "std_z": 0.9, "alignment": 1.5 * math.exp(-epoch / 40)}
            store.put_metrics(run_id, epoch * PER_EPOCH, health)
    store.update_run(run_id, **used, energy_source="counter")


def _new(store: RunStore, config: PretrainConfig, name: str, preset: str = "stl10") -> str:
    return store.create_run(kind="pretrain", name=name, config=config.to_json(), preset=preset, batch_size=256)


def _finished(store: RunStore, patch: pytest.MonkeyPatch) -> str:
    with _at(patch, 52):
        run_id = _new(store, _config(cache="none", num_workers=6), "nocache-w6")
        store.lifecycle(run_id, "started", "started on gpubox", host=HOST)
        _train(store, run_id, epochs=500, seed=1, floor=0.47, best=0.789)
        learning_store.put_health(store, run_id, "good", "learned normally", "normal")
    with _at(patch, 51):
        store.lifecycle(run_id, "finished", "finished: 500 epochs", exit_code=0)
        found = (*learning_store.layer_rows(), *learning_store.label_rows(), *learning_store.invariance_rows())
        store.put_evaluations(run_id, [row | {"step": 500 * PER_EPOCH, "images": 8000} for row in found])
        learning_store.put_map(store, run_id)
        _checkpoints(store, run_id, 195_000, 156_000, 117_000)
    write_labels(store, run_id, Labels(tags=("baseline", "paper"), note="the notes' uncached row", is_pinned=True))
    return run_id


def _demo(store: RunStore, patch: pytest.MonkeyPatch) -> str:
    with _at(patch, 30):
        run_id = _new(store, load_preset("demo").config(), "shapes-demo", "demo")
        store.lifecycle(run_id, "started", "started on gpubox", host=HOST, alive_at=NOW - 3600 * 30)
        _train(store, run_id, epochs=11, of=20, seed=2, floor=2.1, best=0.41)
    return run_id


def _paused(store: RunStore, patch: pytest.MonkeyPatch) -> str:
    with _at(patch, 26):
        run_id = _new(store, _config(num_workers=3), "kornia-w3")
        store.lifecycle(run_id, "started", "started on gpubox", host=HOST)
        _train(store, run_id, epochs=120, seed=3, floor=0.6, best=0.75)
        _checkpoints(store, run_id, 46_800)
        learning_store.put_health(store, run_id, "good", "learns normally", "normal")
    with _at(patch, 20):
        store.lifecycle(run_id, "paused", "paused on request", exit_code=75)
    return run_id


def _failed(store: RunStore, patch: pytest.MonkeyPatch) -> str:
    with _at(patch, 22):
        run_id = _new(store, _config(learning_rate=0.5), "diverged")
        store.lifecycle(run_id, "started", "started on gpubox", host=HOST)
        _train(store, run_id, epochs=2, seed=4, floor=5.4, best=0.4)
        words = "the loss was not finite in 3 steps on end; give a lower --learning-rate"
        store.lifecycle(run_id, "failed", words, level="error", exit_code=1)
    return run_id


def _benchmark(store: RunStore, patch: pytest.MonkeyPatch) -> str:
    with _at(patch, 8):
        config = BenchmarkConfig(base=_config().to_json(), vary="num_workers=0,2,4 cache=none,ram")
        return add_benchmark(store, "loader-h100", config, rounds=13, failed=(6,))


def _running(store: RunStore, patch: pytest.MonkeyPatch) -> str:
    with _at(patch, 1.1):
        run_id = _new(store, _config(cache="vram", augment="fused", num_workers=0), "stl10-r18")
        store.lifecycle(run_id, "started", "started on gpubox", host=HOST, alive_at=NOW)
        _train(store, run_id, epochs=212.3, seed=5, best=0.785)
        learning_store.put_health(store, run_id, "good", "learns normally", "normal")
        _checkpoints(store, run_id, 82_680, 78_000, 39_000)
        parts = {"start": 0.02, "wait": 0.06, "copy": 0.01, "augmentation": 0.22, "forward": 0.81, "loss": 0.06}
        parts |= {"backward": 1.37, "optimiser": 0.17, "logging": 0.03, "checkpoint": 0.02, "evaluation": 0.1}
        for epoch in range(205, 213):
            rows = [
                {"run_id": run_id, "epoch": epoch, "part": part, "seconds": seconds, "is_sampled": 0}
                | {"steps": PER_EPOCH, "clock": "device" if part in STEP_PARTS else "host"}
                for part, seconds in {**parts, "unexplained": 0.03}.items()
            ]
            put_anatomy(store, rows)
    with _at(patch, 0.4):
        words = "resumed at epoch 209 step 12; replay 37 of 37 identical"
        store.lifecycle(run_id, "resumed", words, host=HOST)
        store.event(run_id, "resumed-from", "went on from step 81,132", step=81_132)
    rng = random.Random(6)
    for ago in range(600, -1, -2):
        sample = {"run_id": run_id, "at": NOW - ago, "source": "nvml", "gpu_util": 93.0 + rng.gauss(0, 2)}
        sample |= {"gpu_memory_bytes": 61 << 30, "gpu_memory_total_bytes": 80 << 30, "power_watts": WATTS}
        put_sample(store, sample | {"temperature_celsius": 64.0})
    store.update_run(run_id, alive_at=NOW, progress_at=NOW, phase="training")
    write_labels(store, run_id, Labels(tags=("baseline",)))
    return run_id


def put_anatomy(store: RunStore, rows: list[dict[str, Any]]) -> None:
    """Rows of the table, as an epoch's end writes them."""
    with store._write() as connection:
        for row in rows:
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO anatomy ({names}) VALUES ({marks})", tuple(row.values()))


def put_sample(store: RunStore, sample: dict[str, Any]) -> None:
    """A row of device samples, as a heartbeat writes it."""
    with store._write() as connection:
        names = ", ".join(sample)
        marks = ", ".join("?" * len(sample))
        connection.execute(f"INSERT INTO device_samples ({names}) VALUES ({marks})", tuple(sample.values()))


def _checkpoints(store: RunStore, run_id: str, *steps: int) -> None:
    for step in steps:
        row = {"run_id": run_id, "step": step, "epoch": step // PER_EPOCH, "bytes": 138 << 20, "seconds": 0.3}
        row |= {"path": f"{run_id}/checkpoints/step-{step}.pt", "sha256": "0" * 64, "reason": "interval"}
        store.put_checkpoint(row | {"knn_top1": 0.7, "verified_at": time.time()})


def _fork(store: RunStore, patch: pytest.MonkeyPatch, parent: str) -> str:
    with _at(patch, 0.3):
        config = replace(_config(cache="vram", augment="fused", num_workers=0), temperature=0.1)
        run_id = _new(store, config, "stl10-r18-cold")
        store.update_run(run_id, parent_run_id=parent, parent_step=78_000)
        store.lifecycle(run_id, "interrupted", "its process was lost", host=HOST)
        _train(store, run_id, epochs=20, seed=8, floor=0.4, best=0.7)
    return run_id


def _queued(store: RunStore, patch: pytest.MonkeyPatch) -> str:
    with _at(patch, 0.2):
        return _new(store, _config(backbone="resnet50"), "stl10-r50")
