"""A store of an older version: brought to the newest one once, without losing a row, and read as it is meanwhile."""

import fcntl
import hashlib
import itertools
import multiprocessing
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from tests.trainer.test_store import step_row
from trainer.errors import StoreError
from trainer.paths import store_file
from trainer.store import RunStore, StoreReader
from trainer.store.connect import SCHEMA_VERSION
from trainer.store.migrations import migrations

FIRST_SCHEMA = "eebbf3670871a50f85a346aa0812085d33c1e0b7f02201be917605ec68af6484"
TABLES_OF_VERSION_1 = {
    "runs", "steps", "epochs", "metrics", "buckets", "device_samples", "evaluations", "checkpoints", "events",
    "commands", "annotations", "benchmark_trials",
}  # fmt: skip
ROWS = 3


def tables(connection: sqlite3.Connection) -> list[str]:
    """The store's own tables by name."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '*sqlite_*' ORDER BY name"
    return [row[0] for row in connection.execute(query)]


def columns(connection: sqlite3.Connection, table: str) -> dict[str, tuple[Any, ...]]:
    """Type, NOT NULL, default and place in the key of each column."""
    return {row[1]: tuple(row[2:]) for row in connection.execute(f"PRAGMA table_info({table})")}


def contents(connection: sqlite3.Connection) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, in the order of its rowid, by column name."""
    found = {}
    for table in tables(connection):
        cursor = connection.execute(f"SELECT * FROM {table} ORDER BY rowid")
        names = [column[0] for column in cursor.description]
        found[table] = [dict(zip(names, row, strict=True)) for row in cursor]
    return found


def value_of(kind: str, number: int) -> str | int | float:
    """A value of a column's type that no other has."""
    if kind == "TEXT":
        return f"text {number}"
    return number if kind == "INTEGER" else number + 0.5


def first_version(runs: Path, *, version: int = 1) -> sqlite3.Connection:
    """A new store as the first version made it, or a later one."""
    runs.mkdir(parents=True)
    connection = sqlite3.connect(store_file(runs), isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    apply: Any = migrations.apply
    apply(Database(connection), stop_before=migrations._migrations[version].name)
    return connection


@pytest.fixture
def old(runs: Path) -> dict[str, list[dict[str, Any]]]:
    """A store of the first version with rows in every table; what is in it."""
    connection = first_version(runs)
    count = itertools.count(1)
    for table in tables(connection):
        for _ in range(ROWS):
            row = {name: value_of(kind, next(count)) for name, (kind, *_) in columns(connection, table).items()}
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
    found = contents(connection)
    connection.close()
    return found


def assert_kept(before: dict[str, list[dict[str, Any]]], runs: Path) -> None:
    """Every row of before is there, in its place, with every column as it was."""
    connection = sqlite3.connect(store_file(runs))
    after = contents(connection)
    connection.close()
    for table, rows in before.items():
        assert [{name: row[name] for name in old_row} for row, old_row in zip(after[table], rows, strict=False)] == rows
    assert set(after) == TABLES_OF_VERSION_1 | {"artifacts", "queue", "anatomy", "rank_samples"}


def test_the_first_migration_makes_what_it_always_made(runs: Path, old: dict[str, list[dict[str, Any]]]) -> None:
    """Stores that it made are out there: what it makes must never change, and new columns take a new migration."""
    connection = sqlite3.connect(store_file(runs))
    assert set(tables(connection)) == TABLES_OF_VERSION_1
    schema = {table: columns(connection, table) for table in tables(connection)}
    connection.close()
    assert hashlib.sha256(repr(schema).encode()).hexdigest() == FIRST_SCHEMA


def test_an_old_store_is_brought_up_with_every_row_kept(runs: Path, old: dict[str, list[dict[str, Any]]]) -> None:
    assert {table: len(rows) for table, rows in old.items()} == dict.fromkeys(TABLES_OF_VERSION_1, ROWS)
    store = RunStore.open(runs)
    assert store.schema_version() == SCHEMA_VERSION
    assert_kept(old, runs)
    run = store.run(old["runs"][0]["id"])
    assert (run.health, run.health_level, run.health_rule) == (None, None, None)
    (evaluation, *_) = store.evaluations(old["evaluations"][0]["run_id"])
    assert (evaluation.dataset, evaluation.train_top1, evaluation.value) == ("", None, None)
    assert evaluation.top1 == old["evaluations"][0]["top1"]
    assert store.artifacts(run.id) == []
    assert columns(store.connection, "evaluations")["dataset"][:3] == ("TEXT", 1, "''")
    store.close()


def test_an_upgraded_store_has_the_columns_of_a_new_one(
    runs: Path, old: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    upgraded, new = RunStore.open(runs), RunStore.open(tmp_path / "new")
    assert tables(upgraded.connection) == tables(new.connection)
    for table in tables(new.connection):
        assert columns(upgraded.connection, table) == columns(new.connection, table)
    indices = "SELECT tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1, 2"
    assert [tuple(row) for row in upgraded.connection.execute(indices)] == [
        tuple(row) for row in new.connection.execute(indices)
    ]
    upgraded.close()
    new.close()


def test_an_upgrade_that_fails_half_way_leaves_the_old_store(runs: Path, old: dict[str, list[dict[str, Any]]]) -> None:
    connection = sqlite3.connect(store_file(runs))
    connection.execute("CREATE TABLE artifacts (x)")  # what the upgrade makes last
    with pytest.raises(StoreError, match=r"runs\.db cannot be used .*artifacts.* already exists"):
        RunStore.open(runs)
    assert contents(connection) == old | {"artifacts": []}
    assert connection.execute("PRAGMA user_version").fetchone()[0] == 1
    connection.execute("DROP TABLE artifacts")
    connection.close()
    RunStore.open(runs).close()
    assert_kept(old, runs)


def test_a_trainer_of_the_old_version_goes_on_writing_into_an_upgraded_store(
    runs: Path, old: dict[str, list[dict[str, Any]]]
) -> None:
    """It has had the store open since before, and names the columns that it knows."""
    connection = sqlite3.connect(store_file(runs), isolation_level=None)
    insert = (
        "INSERT OR REPLACE INTO evaluations (run_id, step, protocol, layer, labels_per_class, seed, top1, top5, images,"
        " at) VALUES ('r', 1, 'knn', 'h', 0, 0, ?, 1.0, 10, 0.0)"
    )
    connection.execute(insert, (0.1,))
    store = RunStore.open(runs)
    store.put_evaluations("r", [knn_row(0.9, dataset="cifar10")])
    connection.execute(insert, (0.2,))
    connection.execute(f"INSERT INTO steps VALUES ({', '.join('?' * 11)})", step_row(7).values("r"))
    connection.close()
    assert {row.dataset: row.top1 for row in store.evaluations("r")} == {"": 0.2, "cifar10": 0.9}
    assert store.last_step("r") == 7
    store.close()


def knn_row(top1: float, **changes: Any) -> dict[str, Any]:
    """A figure of an evaluation."""
    row = {"step": 1, "protocol": "knn", "layer": "h", "labels_per_class": 0, "seed": 0, "top5": 1.0, "images": 10}
    return row | {"top1": top1} | changes


READS: dict[str, Callable[[StoreReader, str], Any]] = {
    "runs": lambda reader, run_id: reader.runs(),
    "run": lambda reader, run_id: reader.run(run_id),
    "find": lambda reader, run_id: reader.find(run_id),
    "events": lambda reader, run_id: reader.events(),
    "commands": lambda reader, run_id: reader.pending_commands(run_id),
    "checkpoints": lambda reader, run_id: reader.checkpoints(run_id),
    "evaluations": lambda reader, run_id: reader.evaluations(run_id),
    "artifacts": lambda reader, run_id: reader.artifacts(run_id),
    "metrics": lambda reader, run_id: reader.metrics(run_id),
    # A column that came with a later version is None.
    "epochs": lambda reader, run_id: [
        {name: value for name, value in row.items() if value is not None} for row in reader.epochs(run_id)
    ],
    "anatomy": lambda reader, run_id: reader.anatomy(run_id),
    "trials": lambda reader, run_id: reader.trials(run_id),
    "steps": lambda reader, run_id: reader.steps(run_id),
    "means": lambda reader, run_id: reader.epoch_means(run_id, 1),
    "series": lambda reader, run_id: reader.series(run_id, "loss", first=1, last=9, columns=9),
    "samples": lambda reader, run_id: reader.device_samples(run_id),
}


@pytest.fixture
def old_with_a_run(runs: Path) -> str:
    """A store of the first version as a trainer left it; the run's id."""
    connection = first_version(runs)
    connection.row_factory = sqlite3.Row
    store = RunStore(connection, runs)
    store._process = multiprocessing.current_process().pid or 0
    run_id = "an0ldrun00"
    query = (
        "INSERT INTO runs (id, name, kind, config, created_at, lifecycle, lifecycle_at) VALUES (?, 'old', 'pretrain',"
        " '{}', 1.0, 'created', 1.0)"
    )
    connection.execute(query, (run_id,))
    store.event(run_id, "created", "pretrain run made")
    store.append(run_id, [step_row(1), step_row(2, 0.5)])
    store.put_epoch(run_id, 1, {"loss": 0.75, "knn_top1": 0.3})
    store.put_evaluations(run_id, [knn_row(0.4)])
    store.put_metrics(run_id, 1, {"rank_h": 3.0})
    store.close()
    return run_id


def test_an_old_store_is_read_without_being_changed(runs: Path, old_with_a_run: str) -> None:
    reader = StoreReader.open(runs)
    found = {name: read(reader, old_with_a_run) for name, read in READS.items()}
    assert reader.schema_version() == 1
    assert (found["run"].loss, found["run"].knn_top1, found["run"].health) == (0.5, 0.3, None)
    assert [(row.top1, row.dataset, row.value) for row in found["evaluations"]] == [(0.4, "", None)]
    assert found["artifacts"] == []
    assert found["metrics"] == {"rank_h": [(1, 3.0)]}
    reader.close()


def test_a_reader_that_is_open_while_the_store_is_upgraded_reads_on(runs: Path, old_with_a_run: str) -> None:
    reader = StoreReader.open(runs)
    before = {name: read(reader, old_with_a_run) for name, read in READS.items()}
    store = RunStore.open(runs)
    assert {name: read(reader, old_with_a_run) for name, read in READS.items()} == before
    store.update_run(old_with_a_run, health="learning normally", health_level="good", health_rule="learning")
    row = {"run_id": old_with_a_run, "name": "map.png", "kind": "picture", "step": 1, "path": "x", "bytes": 1}
    store.put_artifact(row | {"sha256": ""})
    assert reader.run(old_with_a_run).health == "learning normally"
    assert [artifact.name for artifact in reader.artifacts(old_with_a_run)] == ["map.png"]
    store.close()
    reader.close()


def test_whoever_finds_no_schema_waits_for_the_one_who_makes_it(runs: Path) -> None:
    runs.mkdir()
    path = store_file(runs)
    opening = threading.Thread(target=lambda: RunStore.open(runs).close())
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        opening.start()
        opening.join(0.5)
        assert opening.is_alive()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    opening.join(60)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
