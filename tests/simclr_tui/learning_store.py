"""A run with everything that evaluations find: figures of every way, a map, pictures, checkpoints and health."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from tests.simclr_tui.made_once import made_once
from tests.simclr_tui.support import STEPS_PER_EPOCH, add_run
from trainer.evaluation.names import AUGMENTATIONS
from trainer.store.runs import RunStore

STEP = 345
CLASSES = ["cat", "car", "cow"]
ACCURACIES = {  # kNN, linear, linear on train
    "pixels": (0.30, 0.39, 0.55),
    "untrained": (0.36, 0.45, 0.80),
    "z": (0.68, 0.64, 0.66),
    "g1": (0.735, 0.76, 0.80),
    "h": (0.761, 0.789, 0.852),
}
INVARIANCE = {"pixels": (0.80, 0.30), "untrained": (0.6, 0.4), "z": (0.15, 0.08), "g1": (0.4, 0.2), "h": (0.55, 0.25)}
DRAWS = (-0.02, 0.0, 0.02)


def about(**columns: Any) -> dict[str, Any]:
    """A row of an evaluation."""
    usual = {"step": STEP, "dataset": "", "labels_per_class": 0, "seed": 0, "images": 1500, "job_id": None}
    return usual | {"top1": None, "top5": None} | columns


def layer_rows(*, dataset: str = "", step: int = STEP, worse: float = 0.0) -> list[dict[str, Any]]:
    """Accuracy of every layer."""
    rows = []
    for layer, (knn, linear, train) in ACCURACIES.items():
        place: dict[str, Any] = {"layer": layer, "dataset": dataset, "step": step}
        rows.append(about(protocol="knn", top1=knn - worse, **place))
        rows.append(about(protocol="linear", top1=linear - worse, train_top1=train, **place))
    return rows


def label_rows() -> list[dict[str, Any]]:
    """Accuracy over labels per class, three draws of all but the last, and fine-tuning."""
    rows = []
    for layer, base in (("h", 0.6), ("untrained", 0.25)):
        for number, gain in ((10, 0.0), (50, 0.1), (500, 0.2)):
            for seed, off in enumerate(DRAWS if number < 500 else (0.0,)):
                for protocol, worse in (("knn", 0.05), ("linear", 0.0)):
                    top1 = base + gain + off - worse
                    rows.append(about(protocol=protocol, layer=layer, labels_per_class=number, seed=seed, top1=top1))
        rows.append(about(protocol="finetune", layer=layer, labels_per_class=50, top1=base + 0.15, train_top1=1.0))
    return rows


def invariance_rows() -> list[dict[str, Any]]:
    """Both figures of every augmentation and layer; z tells clearly less than h about all but flips."""
    return [
        about(protocol=f"{prefix}-{name}", layer=layer, value=0.9 if (name, layer) == ("flip", "z") else value)
        for name in AUGMENTATIONS
        for layer, values in INVARIANCE.items()
        for prefix, value in zip(("tells", "varies"), values, strict=True)
    ]


def map_document(**changes: Any) -> dict[str, Any]:
    """A map of three classes in three corners, 20 images each."""
    rng = random.Random(1)
    corners = ((0.1, 0.9), (0.9, 0.9), (0.5, 0.1))
    points = []
    for index in range(60):
        label = index % 3
        x, y = (min(1.0, max(0.0, at + rng.gauss(0, 0.03))) for at in corners[label])
        neighbours = {"neighbours": [7, 8, 9], "neighbour_labels": [label, label, (label + 1) % 3]}
        point = {"x": x, "y": y, "label": label, "index": 100 + index, "similarity": [0.97, 0.9, 0.5]}
        points.append(point | neighbours)
    document = {"version": 1, "run": "", "step": STEP, "dataset": "shapes", "split": "test"}
    document |= {"neighbours_split": "train", "projection": "tsne", "layer": "h", "classes": CLASSES, "points": points}
    return document | changes


def put_file(store: RunStore, run_id: str, name: str, kind: str, data: bytes) -> Path:
    """A file that an evaluation made, with its row."""
    path = store.runs_path / run_id / "evaluations" / f"step-{STEP}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    row = {"run_id": run_id, "name": name, "kind": kind, "step": STEP, "bytes": len(data), "job_id": None}
    row |= {"path": str(path.relative_to(store.runs_path)), "sha256": hashlib.sha256(data).hexdigest()}
    store.put_artifact(row)
    return path


def put_map(store: RunStore, run_id: str, **changes: Any) -> Path:
    """The map with its row."""
    return put_file(store, run_id, "map.json", "map", json.dumps(map_document(**changes)).encode())


def put_checkpoint(store: RunStore, run_id: str, step: int, knn_top1: float | None = None) -> None:
    """A checkpoint's row; its file is not there."""
    row = {"run_id": run_id, "step": step, "epoch": step // STEPS_PER_EPOCH, "path": f"step-{step}.pt", "bytes": 1}
    store.put_checkpoint(row | {"sha256": "0" * 64, "reason": "end", "knn_top1": knn_top1, "seconds": 0.1})


def put_health(store: RunStore, run_id: str, level: str, sentence: str, rule: str) -> None:
    """The trainer's verdict, and the figures of fifteen epochs before it."""
    for epoch in range(16):
        figures = {"rank_z": 4.0 + 6 * epoch, "std_z": 0.9, "alignment": 1.5 - epoch / 15, "similarity_positive": 0.8}
        store.put_metrics(run_id, epoch * STEPS_PER_EPOCH, figures)
    store.update_run(run_id, health=sentence, health_level=level, health_rule=rule)


@made_once
def add_studied_run(runs: Path) -> str:
    """A finished run that was looked at in every way, and a supervised one beside it; the id of the first."""
    store = RunStore.open(runs)
    supervised = add_run(store, "teacher", steps=23, lifecycle="finished", method="cross-entropy")
    row = about(protocol="classifier", layer="logits", top1=0.733, train_top1=0.99)
    store.put_evaluations(supervised, [row])
    run_id = add_run(store, "studied", steps=STEP, lifecycle="finished")
    put_health(store, run_id, "good", "learned normally", "normal")
    put_checkpoint(store, run_id, 230, 0.31)
    put_checkpoint(store, run_id, STEP, 0.29)
    store.put_evaluations(run_id, layer_rows(step=230, worse=0.1))
    store.put_evaluations(run_id, layer_rows())
    store.put_evaluations(run_id, layer_rows(dataset="cifar10", worse=0.05))
    store.put_evaluations(run_id, [*label_rows(), *invariance_rows()])
    store.put_evaluations(run_id, [about(protocol="neighbours", layer="h", value=0.667, images=60)])
    put_map(store, run_id)
    put_file(store, run_id, "labels.svg", "picture", b"<svg/>")
    store.close()
    return run_id
