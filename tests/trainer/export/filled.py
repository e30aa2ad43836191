"""A run with a row in every table that has rows of runs, some values not finite and some never measured."""

import hashlib
import math
from typing import Any

from tests.trainer.checkpoint_files import write_checkpoint
from trainer.config import PretrainConfig
from trainer.paths import log_file, run_dir
from trainer.start import new_pretrain_run
from trainer.store import RunStore, StepRow
from trainer.store.labels import write_labels
from trainer.store.records import Labels

STEPS, PER_EPOCH = 40, 10


def step_row(step: int) -> StepRow:
    """A step whose figures have all their digits; every seventh loss was not finite."""
    return StepRow(
        step=step,
        epoch=(step - 1) // PER_EPOCH + 1,
        loss=None if step % 7 == 0 else 5 / 3 / step,
        acc_top1=step / 97,
        acc_top5=step / 89,
        acc_mean_pos=128 / step,
        lr=1e-3 / 3,
        grad_norm=0.1 * step,
        t_data=0.002,
        t_batch=0.1,
    )


def filled_run(store: RunStore, *, name: str = "first", steps: int = STEPS, lifecycle: str = "paused") -> str:
    """The run's id."""
    run_id = new_pretrain_run(store, PretrainConfig(dataset="shapes", epochs=9, threads=1), preset="demo", name=name)
    store.append(run_id, [step_row(step) for step in range(1, steps + 1)], steps_per_epoch=PER_EPOCH, total_steps=90)
    for epoch in range(1, steps // PER_EPOCH + 1):
        figures = {
            "loss": 1 / epoch,
            "val_loss": 2 / epoch,
            "val_acc_top1": 0.1 * epoch,
            "knn_top1": 0.2,
            "t_epoch": 1e-4,
        }
        store.put_epoch(run_id, epoch, figures)
    for step in (0, 10, 20, 30):
        store.put_metrics(run_id, step, {"rank_z": 1 + step / 7, "z_std": math.nan if step == 20 else 0.5})
    for load in (1.5, 99.0):
        store.beat(
            run_id, {"source": "cpu", "gpu_util": load, "process_memory_bytes": 3 << 30, "throttle_reasons": "power"}
        )
    score = {"step": 30, "protocol": "linear", "layer": "h", "labels_per_class": 0, "seed": 0, "images": 80}
    store.put_evaluations(
        run_id, [score | {"top1": 0.7, "top5": 0.9}, score | {"labels_per_class": 10, "seed": 3, "top1": 0.4}]
    )
    store.put_anatomy(run_id, 1, [{"part": "loss", "seconds": 0.1, "clock": "host", "is_sampled": 0, "steps": 10}])
    for step in (20, 40):
        write_checkpoint(store, run_id, step)
    put_artifact(store, run_id)
    store.pin_checkpoint(run_id, 20)
    write_labels(store, run_id, Labels(tags=("baseline",), note="two\nlines, “quoted”", is_pinned=True))
    store.event(run_id, "said", 'a comma, a "quote"\nand a line', level="warning", step=7)
    log_file(store.runs_path, run_id).write_text("what it printed\n")
    store.lifecycle(run_id, lifecycle, f"{lifecycle} by a test")
    return run_id


def put_artifact(store: RunStore, run_id: str) -> None:
    """A file of an evaluation, with its row."""
    path = run_dir(store.runs_path, run_id) / "evaluations" / "step-30" / "map.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"points": []}')
    row: dict[str, Any] = {"run_id": run_id, "name": "step-30/map.json", "kind": "map", "step": 30, "job_id": None}
    row |= {"path": str(path.relative_to(store.runs_path)), "bytes": path.stat().st_size}
    store.put_artifact(row | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
