"""Runs with checkpoints that were never trained: a few bytes as weights and the manifest that a trainer would write."""

import hashlib
import json
from pathlib import Path
from typing import Any

from trainer.config import PretrainConfig
from trainer.paths import checkpoint_dir, new_run_id
from trainer.seal import sealed
from trainer.store.runs import RunStore

CONFIG = PretrainConfig(dataset="shapes", epochs=3, batch_size=10)


def manifest_values(run_id: str, step: int, data: bytes, /, **changes: Any) -> dict[str, Any]:
    """What a trainer writes beside those weights, with some of it changed before it is sealed."""
    digest = hashlib.sha256(data).hexdigest()
    values = {
        "run_id": run_id,
        "name": "a run",
        "preset": None,
        "created_at": 1_700_000_000.0,
        "step": step,
        "epoch": 1,
        "reason": "interval",
        "knn_top1": None,
        "config": CONFIG.to_json(),
        "format": 1,
        "file": f"step-{step}-{digest[:8]}.pt",
        "bytes": len(data),
        "sha256": digest,
    }
    return sealed({**values, **changes})


def put_checkpoint_files(runs: Path, run_id: str, step: int, /, *, data: bytes = b"", **changes: Any) -> Path:
    """Write weights and manifest of a step; the path of the weights."""
    folder = checkpoint_dir(runs, run_id)
    folder.mkdir(parents=True, exist_ok=True)
    data = data or f"weights of {run_id} at {step}".encode()
    values = manifest_values(run_id, step, data, **changes)
    path = folder / f"step-{step}-{hashlib.sha256(data).hexdigest()[:8]}.pt"
    path.write_bytes(data)
    (folder / f"step-{step}.json").write_text(json.dumps(values))
    return path


def add_run_with_checkpoints(store: RunStore, *steps: int, name: str = "a run", lifecycle: str = "started") -> str:
    """A run that the store knows, with its checkpoints announced."""
    run_id = store.create_run(kind="pretrain", name=name, config=CONFIG.to_json(), batch_size=10)
    for step in steps:
        path = put_checkpoint_files(store.runs_path, run_id, step, name=name)
        data = path.read_bytes()
        store.put_checkpoint(
            {
                "run_id": run_id,
                "step": step,
                "epoch": 1,
                "path": str(path.relative_to(store.runs_path)),
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "reason": "interval",
            }
        )
    store.lifecycle(run_id, lifecycle, f"{lifecycle} by a test")
    return run_id


def orphan(runs: Path, *steps: int, **changes: Any) -> str:
    """A run of which only the folder is left."""
    run_id = new_run_id()
    for step in steps:
        put_checkpoint_files(runs, run_id, step, **changes)
    return run_id
