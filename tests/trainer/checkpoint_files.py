"""Checkpoints as a trainer leaves them, made without torch: the weights are any bytes."""

import hashlib
import json
from typing import Any

from trainer.manifest import FORMAT
from trainer.paths import checkpoint_dir
from trainer.seal import sealed
from trainer.store import RunStore

STEPS_PER_EPOCH = 10


def write_checkpoint(
    store: RunStore,
    run_id: str,
    step: int,
    *,
    reason: str = "interval",
    steps_per_epoch: int = STEPS_PER_EPOCH,
    data: bytes | None = None,
) -> None:
    """The file, the manifest and the row of a checkpoint of a run."""
    run = store.run(run_id)
    folder = checkpoint_dir(store.runs_path, run_id)
    folder.mkdir(exist_ok=True)
    data = f"weights of {run_id} at {step}".encode() * 100 if data is None else data
    digest = hashlib.sha256(data).hexdigest()
    path = folder / f"step-{step}-{digest[:8]}.pt"
    path.write_bytes(data)
    about = {"step": step, "epoch": (step - 1) // steps_per_epoch + 1, "reason": reason, "knn_top1": None}
    file = {"bytes": len(data), "sha256": digest}
    manifest = about | file | {"format": FORMAT, "file": path.name, "run_id": run_id, "name": run.name}
    manifest |= {"preset": run.preset, "created_at": run.created_at, "config": run.config}
    (folder / f"step-{step}.json").write_text(json.dumps(sealed(manifest)))
    relative = str(path.relative_to(store.runs_path))
    store.put_checkpoint({"run_id": run_id, "path": relative, "seconds": 0.1, **about, **file})
    store.update_run(run_id, step=step, steps_per_epoch=steps_per_epoch)


def manifest_of(store: RunStore, run_id: str, step: int) -> dict[str, Any]:
    """What the manifest of a checkpoint says."""
    found: dict[str, Any] = json.loads((checkpoint_dir(store.runs_path, run_id) / f"step-{step}.json").read_bytes())
    return found
