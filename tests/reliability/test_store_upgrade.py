"""Programs that open an old store in the same moment upgrade it once, and none of them fails."""

import contextlib
import os
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from tests.reliability.alone import alone, fork, wait
from tests.trainer.test_store import make_run, step_row
from tests.trainer.test_store_migrations import first_version, tables
from trainer.paths import store_file
from trainer.store import RunStore
from trainer.store import migrations as migrations_module
from trainer.store.connect import SCHEMA_VERSION

PROCESSES = 4


def naive(db: Database, path: Path, *_: object) -> None:
    """The negative control: migrations as their library applies them, with nothing to keep others out."""
    db.execute("PRAGMA journal_mode=WAL")
    migrations_module.migrations.apply(db)


def open_and_write(runs: str, gate: int) -> None:
    """Wait for the gate, open the store as a trainer does, and add a run with a step."""
    os.read(gate, 1)
    store = RunStore.open(Path(runs))
    store.append(make_run(store), [step_row(1)])
    store.close()


def old_store(runs: Path, version: int) -> None:
    """A store of an older version with a run in it."""
    connection = first_version(runs, version=version)
    connection.execute(
        "INSERT INTO runs (id, name, kind, config, created_at) VALUES ('old', 'old', 'pretrain', '{}', 1)"
    )
    connection.close()


def rounds(folder: str, count: int, version: int, control: str) -> dict[str, Any]:
    """Have four processes open an old store at once, so many times; how many failed, and what became of the stores."""
    if control == "naive":
        vars(migrations_module).update(migrate=naive)
    first = Path(folder) / "first"
    old_store(first, version) if version else first.mkdir(parents=True)
    failed, found = 0, Counter[str]()
    for number in range(count):
        runs = Path(folder) / f"round-{number}"
        shutil.copytree(first, runs)
        held, opened = os.pipe()
        children = [fork(open_and_write, str(runs), held) for _ in range(PROCESSES)]
        os.write(opened, b"g" * PROCESSES)
        failed += sum(wait(child) != 0 for child in children)
        os.close(held)
        os.close(opened)
        found[_state(runs)] += 1
    return {"failed": failed, "stores": dict(found)}


def _state(runs: Path) -> str:
    with contextlib.closing(sqlite3.connect(store_file(runs))) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        applied = connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone()[0]
        counts = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("runs", "steps")]
        whole = connection.execute("PRAGMA integrity_check").fetchone()[0]
        return f"{version} {applied} {counts} {len(tables(connection))} {whole}"


def prove(folder: Path, count: int, version: int) -> None:
    found = alone(rounds, str(folder), count, version, "")
    expected = f"{SCHEMA_VERSION} {SCHEMA_VERSION} {[PROCESSES + (version > 0), PROCESSES]} 16 ok"
    assert found == {"failed": 0, "stores": {expected: count}}


@pytest.mark.parametrize("version", [0, 1, 2])
def test_processes_that_open_a_new_or_an_old_store_at_once_make_or_upgrade_it_once(
    tmp_path: Path, version: int
) -> None:
    prove(tmp_path, 3, version)


def test_upgrades_that_nothing_keeps_apart_fail(tmp_path: Path) -> None:
    """The negative control: until a round goes wrong."""
    for attempt in range(10):
        found = alone(rounds, str(tmp_path / str(attempt)), 5, 1, "naive")
        if found["failed"]:
            return
    raise AssertionError("the proof proves nothing: unguarded upgrades went well as well")


@pytest.mark.reliability
@pytest.mark.parametrize("version", [1, 2])
def test_in_fifty_rounds_no_process_fails_and_every_store_is_upgraded_once(tmp_path: Path, version: int) -> None:
    prove(tmp_path, 50, version)
