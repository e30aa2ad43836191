"""The schema of the store as numbered migrations, applied once however many processes open it at the same time.

Accuracies are 0–1, gpu_util 0–100, times in seconds, `at` in UTC seconds; steps and epochs count from 1.
"""

from pathlib import Path
from typing import Any

from sqlite_utils import Database, Migrations

from trainer.sharing import lock_alone, open_lock
from trainer.store.connect import SCHEMA_VERSION, check_version, set_journal_mode
from trainer.store.guard import WriteGuard

migrations = Migrations("simclr-tui")

_STEP_METRICS = dict.fromkeys(
    ["loss", "acc_top1", "acc_top5", "acc_mean_pos", "lr", "grad_norm", "t_data", "t_batch"], float
)
_VALIDATION = dict.fromkeys(["val_loss", "val_acc_top1", "val_acc_top5", "val_acc_mean_pos"], float)
_RUN_OWNER = {"host": str, "boot_id": str, "pid": int, "start_ticks": int}
_RUN_PROGRESS = {
    "alive_at": float,
    "step": int,
    "epoch": int,
    "progress_at": float,
    "total_steps": int,
    "steps_per_epoch": int,
    "trained_seconds": float,
}


def migrate(db: Database, path: Path, journal_mode: str, guard: WriteGuard) -> None:
    """Bring a store to a journal mode and the newest schema, unless it has that schema. Commits.

    Holds a lock file meanwhile: two migrations at once would both find the tables missing. All of them are one
    immediate transaction: the deferred one that each would have by itself fails at once when somebody who has just
    opened the file holds its write lock for the moment of recovering the log's index, whatever the busy timeout.
    """
    if check_version(db.conn, path) == SCHEMA_VERSION:
        return
    with open_lock(path.with_suffix(".lock")) as lock:
        lock_alone(lock, path.with_suffix(".lock"))
        if check_version(db.conn, path) < SCHEMA_VERSION:
            with guard.held():
                set_journal_mode(db.conn, journal_mode)
                db.execute("BEGIN IMMEDIATE")
                try:
                    migrations.apply(db)
                except BaseException:
                    db.rollback()
                    raise
                db.execute("COMMIT")


def _table(db: Database, name: str, columns: dict[str, Any], *, pk: str | tuple[str, ...]) -> Any:
    table: Any = db[name]
    return table.create(columns, pk=pk, not_null=set() if isinstance(pk, str) else set(pk))


@migrations()
def m001_first_schema(db: Database) -> None:
    """Runs, their series, their history, and what people say about them."""
    _table(
        db,
        "runs",
        {
            "id": str,
            "name": str,
            "kind": str,
            "config": str,
            "preset": str,
            "created_at": float,
            "source_run_id": str,
            "lifecycle": str,
            "lifecycle_at": float,
            "exit_code": int,
            "fingerprint": str,
            "exactness": str,
            "device": str,
            "batch_size": int,
            **_RUN_OWNER,
            **_RUN_PROGRESS,
        },
        pk="id",
    ).create_index(["created_at"])
    _series(db)
    _history(db)
    db.execute("PRAGMA user_version = 1")


def _series(db: Database) -> None:
    """What is measured while a run goes on."""
    steps = {"run_id": str, "step": int, "epoch": int, **_STEP_METRICS}
    _table(db, "steps", steps, pk=("run_id", "step")).create_index(["run_id", "epoch"])
    times = dict.fromkeys(["t_data", "t_batch", "t_train", "t_epoch", "images_per_second", "gpu_util"], float)
    epochs = {"run_id": str, "epoch": int, "loss": float, "acc_top1": float, "acc_top5": float}
    epochs |= {"acc_mean_pos": float, **_VALIDATION, "val_batch_size": int, **times}
    epochs |= {"knn_top1": float, "knn_top5": float, "at": float}
    _table(db, "epochs", epochs, pk=("run_id", "epoch"))
    metrics = {"run_id": str, "name": str, "step": int, "value": float}
    _table(db, "metrics", metrics, pk=("run_id", "name", "step"))
    summary = {"min": float, "max": float, "mean": float, "last": float, "count": int}
    bucket = {"run_id": str, "name": str, "size": int, "bucket": int, **summary}
    _table(db, "buckets", bucket, pk=("run_id", "name", "size", "bucket"))
    device = {"id": int, "run_id": str, "at": float, "source": str, "gpu_util": float}
    device |= dict.fromkeys(["gpu_memory_bytes", "gpu_memory_total_bytes", "process_memory_bytes"], int)
    device |= dict.fromkeys(["power_watts", "temperature_celsius", "sm_clock_mhz", "energy_joules"], float)
    device |= {"throttle_reasons": str, "cpu_percent": float}
    _table(db, "device_samples", device, pk="id").create_index(["run_id", "at"])


def _history(db: Database) -> None:
    """What happened to a run, what was asked of it and what was made of it."""
    evaluation = {
        "run_id": str,
        "step": int,
        "protocol": str,
        "layer": str,
        "labels_per_class": int,
        "seed": int,
    }
    result = {
        "top1": float,
        "top5": float,
        "images": int,
        "c": float,
        "seconds": float,
        "job_id": str,
        "at": float,
    }
    _table(db, "evaluations", evaluation | result, pk=tuple(evaluation))
    checkpoint = {"run_id": str, "step": int, "epoch": int, "path": str, "bytes": int, "sha256": str}
    checkpoint |= {"reason": str, "knn_top1": float, "seconds": float, "at": float}
    _table(db, "checkpoints", checkpoint, pk=("run_id", "step"))
    event = {"id": int, "run_id": str, "at": float, "level": str, "kind": str, "message": str, "step": int}
    _table(db, "events", event, pk="id").create_index(["run_id", "id"])
    command = {"id": int, "run_id": str, "command": str, "at": float, "taken_at": float, "outcome": str}
    _table(db, "commands", command, pk="id").create_index(["run_id", "taken_at"])
    annotation = {"run_id": str, "key": str, "value": str, "at": float}
    _table(db, "annotations", annotation, pk=("run_id", "key", "value"))
    trial = {
        "run_id": str,
        "trial": int,
        "round": int,
        "settings": str,
        "t_batch": float,
        "t_batch_next": float,
    }
    trial |= {
        "t_epoch": float,
        "t_epoch_next": float,
        "gpu_util": float,
        "images_per_second": float,
        "error": str,
    }
    _table(db, "benchmark_trials", trial, pk=("run_id", "trial", "round"))


@migrations()
def m002_more_evaluations(db: Database) -> None:
    """Evaluations on other data sets and of other things than accuracy, health in words, and pictures."""
    evaluations: Any = db["evaluations"]
    for name, kind in {"dataset": str, "train_top1": float, "value": float}.items():
        evaluations.add_column(name, kind, not_null_default="" if name == "dataset" else None)
    evaluations.transform(
        pk=("run_id", "step", "dataset", "protocol", "layer", "labels_per_class", "seed"), not_null={"dataset"}
    )
    runs: Any = db["runs"]
    for name in ("health", "health_level", "health_rule"):
        runs.add_column(name, str)
    artifact = {"run_id": str, "name": str, "kind": str, "step": int, "path": str, "bytes": int, "sha256": str}
    _table(db, "artifacts", artifact | {"job_id": str, "at": float}, pk=("run_id", "name"))
    db.execute("PRAGMA user_version = 2")


@migrations()
def m003_forks_phases_and_the_queue(db: Database) -> None:
    """Where a run branched off, what its trainer is at, and which runs wait for a device."""
    runs: Any = db["runs"]
    columns = {"parent_run_id": str, "parent_step": int, "phase": str, "step_seconds": float, "restarts_left": int}
    for name, kind in columns.items():
        runs.add_column(name, kind)
    checkpoints: Any = db["checkpoints"]
    checkpoints.add_column("verified_at", float)
    _table(db, "queue", {"run_id": str, "device": str, "place": float, "is_held": int, "at": float}, pk="run_id")
    db.execute("PRAGMA user_version = 3")


@migrations()
def m004_anatomy_and_trials(db: Database) -> None:
    """Where the seconds of an epoch went, and what the trials of a benchmark cost and met."""
    part = {"run_id": str, "epoch": int, "part": str, "seconds": float, "clock": str, "is_sampled": int, "steps": int}
    _table(db, "anatomy", part, pk=("run_id", "epoch", "part"))
    epochs: Any = db["epochs"]
    epochs.add_column("t_idle", float)
    trials: Any = db["benchmark_trials"]
    columns = {"name": str, "t_data": float, "t_data_next": float, "idle": float, "host_memory_bytes": int}
    columns |= {"device_memory_bytes": int, "steps": int, "warmup_seconds": float, "dropped": str, "at": float}
    for name, kind in columns.items():
        trials.add_column(name, kind)
    db.execute("PRAGMA user_version = 4")


@migrations()
def m005_people(db: Database) -> None:
    """Who made a run, and who last started its trainer."""
    runs: Any = db["runs"]
    for name, kind in {"owner": str, "owner_uid": int, "runner": str, "runner_uid": int}.items():
        runs.add_column(name, kind)
    db.execute("PRAGMA user_version = 5")


@migrations()
def m006_samples_of_ranks(db: Database) -> None:
    """What the devices of several ranks do, and how long each rank's steps take.

    A table beside `device_samples`, whose readers, those of an older version too, take every row for the one device of
    a run.
    """
    sample = {"id": int, "run_id": str, "at": float, "rank": int, "host": str, "device": str, "uuid": str}
    sample |= {"source": str, "gpu_util": float}
    sample |= dict.fromkeys(["gpu_memory_bytes", "gpu_memory_total_bytes", "process_memory_bytes"], int)
    sample |= dict.fromkeys(["power_watts", "temperature_celsius", "sm_clock_mhz", "energy_joules"], float)
    sample |= {"throttle_reasons": str, "cpu_percent": float, "t_step": float, "t_collective": float}
    _table(db, "rank_samples", sample, pk="id").create_index(["run_id", "at"])
    db.execute("PRAGMA user_version = 6")


@migrations()
def m007_energy(db: Database) -> None:
    """What the card and the processors took for a run, as of now and as of the end of each epoch."""
    for name in ("runs", "epochs", "device_samples"):
        table: Any = db[name]
        if name != "device_samples":
            table.add_column("energy_joules", float)
        table.add_column("cpu_energy_joules", float)
    runs: Any = db["runs"]
    runs.add_column("energy_source", str)
    db.execute("PRAGMA user_version = 7")
