"""What loggers hold of a run, read by their own means, and what they should hold, by plain SQL."""

import json
import math
import os
import sqlite3
import struct
from pathlib import Path
from typing import Any

from trainer.export.tags import DEVICE_PREFIX, EPOCH_TAGS, RANK_PREFIX, STEP_TAGS, evaluation_tag
from trainer.paths import mirrors_dir, tensorboard_dir

Value = tuple[str, int | None, str]
"""Tag, step (None for samples of the device, whose step is an estimate) and the value with five digits."""


def value(tag: str, step: int, number: float) -> Value:
    """One value; rounded to what event files hold first, and then to what can be compared."""
    (single,) = struct.unpack("f", struct.pack("f", float(number)))
    return tag, None if tag.startswith((DEVICE_PREFIX, RANK_PREFIX)) else int(step), f"{single:.5g}"


def expected(runs: Path, run_id: str) -> list[Value]:
    """Every value that the store has of a run, once."""
    connection = sqlite3.connect(f"file:{runs / 'runs.db'}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    found: list[Value] = []

    def rows(table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table} WHERE run_id = ?", (run_id,))]

    per_epoch = connection.execute("SELECT steps_per_epoch FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
    for row in rows("steps"):
        found += [
            value(tag, row["step"], math.nan if row[name] is None else row[name]) for name, tag in STEP_TAGS.items()
        ]
    for row in rows("epochs"):
        step = row["epoch"] * per_epoch
        found += [value(tag, step, row[name]) for name, tag in EPOCH_TAGS.items() if row[name] is not None]
    for row in rows("metrics"):
        found.append(value(row["name"], row["step"], math.nan if row["value"] is None else row["value"]))
    for row in rows("device_samples"):
        numbers = {name: one for name, one in row.items() if isinstance(one, int | float) and name not in ("id", "at")}
        found += [value(DEVICE_PREFIX + name, 0, one) for name, one in numbers.items()]
    for row in rows("rank_samples"):
        numbers = {name: one for name, one in row.items() if isinstance(one, int | float)}
        where = {"id", "at", "rank"}
        found += [value(f"rank/{row['rank']}/{name}", 0, one) for name, one in numbers.items() if name not in where]
    for row in rows("evaluations"):
        figures = [name for name in ("top1", "top5", "train_top1", "value") if row[name] is not None]
        found += [value(evaluation_tag(row, name), row["step"], row[name]) for name in figures]
    connection.close()
    return sorted(found, key=str)


def held(name: str, runs: Path, run_id: str) -> list[Value]:
    """Every value that a logger has of a run, as often as it has it."""
    read = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow, "trackio": _trackio}
    return sorted(read[name](runs, run_id), key=str)


def _tensorboard(runs: Path, run_id: str) -> list[Value]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(tensorboard_dir(runs, run_id)), size_guidance={"scalars": 0})
    found.Reload()
    return [value(tag, one.step, one.value) for tag in found.Tags()["scalars"] for one in found.Scalars(tag)]


def _wandb(runs: Path, run_id: str) -> list[Value]:
    from trainer.mirror.wandb_files import history, offline_files

    rows = [row for path in offline_files(mirrors_dir(runs, run_id), run_id) for row in history(path)]
    assert sorted(row["_step"] for row in rows) == list(range(len(rows))), "W&B takes no count twice"
    return [
        value(tag, row["step"], number)
        for row in rows
        for tag, number in row.items()
        if tag != "step" and not tag.startswith(("_", "mirror/"))
    ]


def _mlflow(runs: Path, run_id: str) -> list[Value]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{runs / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("simclr-tui")
    (run,) = client.search_runs([experiment.experiment_id], f"tags.`simclr_tui.run_id` = '{run_id}'")
    return [
        value(tag, metric.step, metric.value)
        for tag in run.data.metrics
        for metric in client.get_metric_history(run.info.run_id, tag)
    ]


def _trackio(runs: Path, run_id: str) -> list[Value]:
    database = Path(os.environ["TRACKIO_DIR"]) / "simclr-tui.db"
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    rows = connection.execute("SELECT step, metrics FROM metrics WHERE run_name LIKE ?", (f"%{run_id}",)).fetchall()
    connection.close()
    return [value(tag, step, number) for step, values in rows for tag, number in json.loads(values).items()]


def told(name: str, runs: Path, run_id: str) -> dict[str, Any]:
    """What a logger was told of a run beside its figures."""
    if name == "mlflow":
        from mlflow.tracking import MlflowClient

        client = MlflowClient(tracking_uri=f"sqlite:///{runs / 'mlflow.db'}")
        experiment = client.get_experiment_by_name("simclr-tui")
        (run,) = client.search_runs([experiment.experiment_id])
        return {"settings": run.data.params, "status": run.info.status, "tags": run.data.tags}
    if name == "wandb":
        from wandb.proto import wandb_internal_pb2

        from trainer.mirror.wandb_files import offline_files, records

        everything: dict[str, Any] = {"settings": {}, "raw": b""}
        for path in offline_files(mirrors_dir(runs, run_id), run_id):
            with path.open("rb") as file:
                for data in records(file):
                    everything["raw"] += data
                    record: Any = vars(wandb_internal_pb2)["Record"].FromString(data)
                    everything.setdefault("host", record.run.host)
                    for item in record.run.config.update:
                        everything["settings"][item.key] = json.loads(item.value_json)
                    if record.HasField("exit"):
                        everything["status"] = record.exit.exit_code
        everything["raw"] = everything["raw"].decode("latin-1")
        return everything
    database = Path(os.environ["TRACKIO_DIR"]) / "simclr-tui.db"
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    rows = connection.execute("SELECT config FROM configs").fetchall()
    connection.close()
    return {"settings": json.loads(rows[-1][0])}
