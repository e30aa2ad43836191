"""The store as it may be found: missing, empty, half made, damaged, newer, of another program, or fine."""

import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.trainer.test_store import make_run, step_row
from trainer.doctor import database
from trainer.doctor.check import Check
from trainer.paths import store_file
from trainer.store.connect import SCHEMA_VERSION
from trainer.store.runs import RunStore


def one_file(runs: Path) -> Path:
    """A store with a thousand steps that is closed, with nothing in its log."""
    with closing(RunStore.open(runs)) as store:
        run_id = make_run(store)
        store.append(run_id, [step_row(step) for step in range(1, 1001)])
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return store_file(runs)


def levels(runs: Path, *, quick: bool = False) -> dict[str, Check]:
    return {check.name: check for check in database.checks(runs, quick=quick)}


def test_a_store_is_found_whole_and_is_not_changed(runs: Path) -> None:
    path = one_file(runs)
    before = path.read_bytes()
    found = levels(runs)
    assert {check.level for check in found.values()} == {"ok"}
    assert "integrity_check" in found["integrity"].seen
    assert "quick_check" in levels(runs, quick=True)["integrity"].seen
    assert path.read_bytes() == before


def test_what_is_not_there_is_not_made(runs: Path) -> None:
    runs.mkdir()
    assert database.kind_of(store_file(runs)) == "missing"
    assert levels(runs)["store"].level == "ok"
    assert list(runs.iterdir()) == []


def test_each_kind_of_file_in_its_place_is_told_apart(runs: Path, tmp_path: Path) -> None:
    runs.mkdir()
    path = store_file(runs)
    path.write_bytes(b"")
    assert (database.kind_of(path), levels(runs)["store"].level) == ("empty", "warn")
    path.write_bytes(b"this is a text and no database, and long enough to be one" * 100)
    assert (database.kind_of(path), levels(runs)["store"].level) == ("not-a-database", "bad")
    path.unlink()
    path.mkdir()
    assert (database.kind_of(path), levels(runs)["store"].level) == ("not-a-file", "bad")
    path.rmdir()
    os.mkfifo(path)
    assert database.kind_of(path) == "not-a-file"
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert database.kind_of(path) == "not-a-file"


def test_another_programs_database_is_not_ours(runs: Path) -> None:
    runs.mkdir()
    for statements in (["CREATE TABLE moz_places (id INTEGER)"], ["CREATE TABLE runs (id INTEGER, name TEXT)"]):
        store_file(runs).unlink(missing_ok=True)
        with closing(sqlite3.connect(store_file(runs))) as other:
            for statement in statements:
                other.execute(statement)
        assert database.kind_of(store_file(runs)) == "foreign"
        check = levels(runs)["store"]
        assert check.level == "bad"
        assert "move" in check.remedy


def test_a_newer_store_asks_for_an_upgrade(runs: Path) -> None:
    path = one_file(runs)
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    check = levels(runs)["store"]
    assert check.level == "bad"
    assert "upgrade simclr-tui" in check.remedy


def test_an_older_store_is_fine(runs: Path) -> None:
    path = one_file(runs)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 1")
    found = levels(runs)
    assert found["schema"].level == "ok"
    assert f"to {SCHEMA_VERSION}" in found["schema"].seen


def test_every_zeroed_or_overwritten_page_is_told_and_none_ends_in_a_traceback(runs: Path) -> None:
    path = one_file(runs)
    whole, draw, page = path.read_bytes(), random.Random(5), 4096
    free = free_pages(path)
    for number in range(len(whole) // page):
        for filling in (bytes(page), draw.randbytes(page)):
            path.write_bytes(whole[: number * page] + filling + whole[(number + 1) * page :])
            found = levels(runs)
            told = any(check.level == "bad" for check in found.values())
            # What is on the list of free pages holds nothing.
            assert told or number + 1 in free, (number, filling[:4])
            assert all("Traceback" not in check.seen for check in found.values())


def free_pages(path: Path) -> set[int]:
    """Pages that hold nothing: SQLite's own count of pages, less those of every table and index."""
    with closing(sqlite3.connect(path)) as connection:
        count = connection.execute("PRAGMA page_count").fetchone()[0]
        used = {row[0] for row in connection.execute("SELECT pageno FROM dbstat")}
    return set(range(1, count + 1)) - used


def test_a_truncated_store_is_told(runs: Path) -> None:
    path = one_file(runs)
    whole = path.read_bytes()
    for kept in (10, 100, 4096, 4097, len(whole) // 2, len(whole) - 4096):
        path.write_bytes(whole[:kept])
        assert any(check.level == "bad" for check in levels(runs).values()), kept


def test_a_long_log_is_told(runs: Path) -> None:
    path = one_file(runs)
    with path.with_name("runs.db-wal").open("wb") as log:
        log.truncate(65 << 20)
    (check,) = database._write_ahead_log(path)
    assert check.level == "warn"


def test_wal_on_a_network_file_system_is_bad_and_a_rollback_journal_there_is_not(runs: Path) -> None:
    path = one_file(runs)
    assert [check.level for check in database.journal(path, is_network=False)] == ["ok"]
    assert [check.level for check in database.journal(path, is_network=True)] == ["bad"]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    assert [check.level for check in database.journal(path, is_network=True)] == ["ok"]
    assert [check.level for check in database.journal(path, is_network=False)] == ["warn"]


def test_the_newest_event_is_read_and_nothing_is_known_of_what_is_no_store(runs: Path) -> None:
    assert database.newest_event_at(runs) is None
    one_file(runs)
    at = database.newest_event_at(runs)
    assert at is not None
    assert abs(time.time() - at) < 60
    store_file(runs).write_bytes(b"no store at all" * 1000)
    assert database.newest_event_at(runs) is None


def test_the_age_of_the_backup_is_told(runs: Path) -> None:
    assert database.backup(None, has_runs=False).level == "ok"
    assert database.backup(None, has_runs=True).level == "warn"
    assert "3.0 hours" in database.backup(0.0, has_runs=True, now=3 * 3600.0).seen


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_store_that_may_not_be_read_is_told(runs: Path) -> None:
    path = one_file(runs)
    path.chmod(0)
    assert levels(runs)["store"].level == "bad"
