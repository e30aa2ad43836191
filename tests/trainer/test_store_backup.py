"""Backups: one moment of the store, checked, two of them kept; and the way back, which deletes nothing."""

import fcntl
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.small_disk import mounted
from tests.trainer.test_store import make_run, step_row
from trainer.errors import BusyError, StoreError
from trainer.gpu import CpuSampler
from trainer.monitor import Monitor
from trainer.paths import store_file
from trainer.store import RunStore, StoreReader, backup_timer
from trainer.store import backup as backup_module
from trainer.store.backup import backup, backups, latest_backup, restore_backup
from trainer.store.backup_timer import BackupTimer
from trainer.store.damage import find_damage, interrupted_after, refuse_damaged


@pytest.fixture
def run_id(store: RunStore) -> str:
    """A run with a few thousand steps."""
    run_id = make_run(store)
    store.append(run_id, [step_row(step, float(step)) for step in range(1, 3001)])
    return run_id


_TRAINER = """
import sys, time
from pathlib import Path
from trainer.process import RunLock
lock = RunLock(Path(sys.argv[1]), sys.argv[2])
print("locked", flush=True)
time.sleep(600)
"""


def steps_in(path: Path) -> list[int]:
    """The steps that a database has, read with nothing but SQLite."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT step FROM steps ORDER BY step")]


def spoil(path: Path) -> None:
    """Overwrite every page in the second half of a file, where rows are and the schema is not."""
    data = bytearray(path.read_bytes())
    for page in range(len(data) // 8192, len(data) // 4096):
        data[page * 4096 : page * 4096 + 2048] = random.Random(page).randbytes(2048)
    path.write_bytes(data)


def test_a_backup_is_one_file_with_every_committed_row(store: RunStore, runs: Path, run_id: str) -> None:
    made = backup(runs)
    assert made.path == runs / "backups" / "runs.db"
    assert steps_in(made.path) == list(range(1, 3001))
    assert sorted(path.name for path in (runs / "backups").iterdir()) == ["backup.lock", "runs.db"]
    assert made.path.read_bytes()[18] == 1, "no write-ahead log is expected beside it"
    assert (made.bytes, made.at) == (made.path.stat().st_size, made.path.stat().st_mtime)
    assert latest_backup(runs) == made


def test_the_backup_before_is_kept(store: RunStore, runs: Path, run_id: str) -> None:
    backup(runs)
    store.append(run_id, [step_row(3001)])
    backup(runs)
    newest, before = backups(runs)
    assert len(steps_in(newest.path)) == 3001
    assert before.path.name == "runs.previous.db"
    assert len(steps_in(before.path)) == 3000
    spoil(newest.path)
    assert latest_backup(runs) == before


def test_which_backup_is_newer_is_told_by_its_name_and_by_no_clock(store: RunStore, runs: Path, run_id: str) -> None:
    """A folder that was copied has new times of files, and a clock may have been wrong."""
    backup(runs)
    store.append(run_id, [step_row(3001)])
    backup(runs)
    os.utime(runs / "backups" / "runs.previous.db", (time.time() + 3600,) * 2)
    newest = latest_backup(runs)
    assert newest is not None
    assert newest.path.name == "runs.db"


def test_a_backup_is_of_one_moment_while_rows_are_written(
    store: RunStore, runs: Path, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is slowed down; each row of the copy has its predecessor, and no row came in after it began."""
    monkeypatch.setattr(backup_module, "_PAGES_AT_ONCE", 4)
    monkeypatch.setattr(backup_module, "_NAP_SECONDS", 0.01)
    done = threading.Event()

    def copy() -> None:
        backup(runs)
        done.set()

    thread = threading.Thread(target=copy)
    thread.start()
    step = 3001
    while not done.is_set():
        store.append(run_id, [step_row(step)])
        step += 1
    thread.join()
    copied = steps_in(runs / "backups" / "runs.db")
    assert copied == list(range(1, len(copied) + 1))
    assert 3000 <= len(copied) < store.last_step(run_id), "writing went on meanwhile"


def test_a_damaged_store_makes_no_backup_and_the_good_one_stays(store: RunStore, runs: Path, run_id: str) -> None:
    good = backup(runs)
    store.close()
    spoil(store_file(runs))
    with pytest.raises(StoreError, match=r"runs/runs\.db is damaged"):
        backup(runs)
    assert backups(runs) == [good]
    assert sorted(path.name for path in (runs / "backups").iterdir()) == ["backup.lock", "runs.db"]


def test_a_folder_without_a_store_has_nothing_to_back_up(runs: Path) -> None:
    runs.mkdir()
    with pytest.raises(StoreError, match="there is nothing to back up"):
        backup(runs)
    assert latest_backup(runs) is None


def test_two_backups_at_once_are_one(store: RunStore, runs: Path, run_id: str) -> None:
    (runs / "backups").mkdir()
    with (runs / "backups" / "backup.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BusyError, match="another process is making a backup"):
            backup(runs)
    backup(runs)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MiB of its own."""
    with mounted(tmp_path / "small", "40m") as folder:
        yield folder


@pytest.mark.parametrize("looks_first", [True, False])
def test_a_full_disk_leaves_the_old_backup_and_tells(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, looks_first: bool
) -> None:
    """Whether it is noticed before the copy or in the middle of it."""
    runs = small_disk / "runs"
    with closing(RunStore.open(runs)) as store:
        run_id = make_run(store)
        store.append(run_id, [step_row(step) for step in range(1, 3001)])
        old = backup(runs)
        store.append(run_id, [step_row(3001)])
        if not looks_first:
            monkeypatch.setattr(backup_module, "_check_room", lambda *_: None)
        (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free - 200_000))
        with pytest.raises(
            StoreError, match=r"backups (has .* MB free|cannot take a copy .*No space left).*free some space"
        ):
            backup(runs)
        assert backups(runs) == [old]
        assert steps_in(old.path) == list(range(1, 3001))
        (small_disk / "filler").unlink()
        assert len(steps_in(backup(runs).path)) == 3001


def test_a_restore_sets_the_damaged_store_aside_with_its_log(runs: Path) -> None:
    store = RunStore.open(runs)
    run_id = make_run(store)
    store.append(run_id, [step_row(1)])
    made = backup(runs)
    store.append(run_id, [step_row(2)])
    kept = {name: (runs / name).read_bytes() for name in ("runs.db", "runs.db-wal")}
    aside = restore_backup(runs)
    assert aside is not None
    assert aside.name.startswith("runs.db.damaged-")
    assert aside.read_bytes() == kept["runs.db"]
    assert aside.with_name(aside.name + "-wal").read_bytes() == kept["runs.db-wal"]
    store.close()
    assert made.path.exists(), "the backup is still there"
    assert steps_in(store_file(runs)) == [1]
    again = RunStore.open(runs)
    again.append(run_id, [step_row(2)])
    assert again.last_step(run_id) == 2
    again.close()
    second = restore_backup(runs)
    assert second not in (aside, None)
    assert aside.exists()


def test_a_log_that_is_left_beside_a_backup_would_be_played_onto_it(runs: Path) -> None:
    """The negative control: a backup that is just copied over the store comes up with rows that it never had."""
    store = RunStore.open(runs)
    run_id = make_run(store)
    store.append(run_id, [step_row(1)])
    made = backup(runs)
    store.append(run_id, [step_row(2)])
    copy = runs.with_name("copy")
    copy.mkdir()
    for name in ("runs.db", "runs.db-wal"):
        shutil.copyfile(runs / name, copy / name)
    store.close()
    with closing(sqlite3.connect(made.path)) as wal_again:
        wal_again.execute("PRAGMA journal_mode=WAL")
    shutil.copyfile(made.path, copy / "runs.db")
    with closing(sqlite3.connect(copy / "runs.db")) as naive:
        try:
            wrong = [row[0] for row in naive.execute("SELECT step FROM steps")] != [1]
        except sqlite3.DatabaseError:
            wrong = True
    assert wrong


def test_a_store_that_is_gone_is_restored_with_nothing_set_aside(store: RunStore, runs: Path, run_id: str) -> None:
    backup(runs)
    store.close()
    store_file(runs).unlink()
    assert restore_backup(runs) is None
    assert len(steps_in(store_file(runs))) == 3000


def test_a_restore_is_refused_while_a_trainer_lives(store: RunStore, runs: Path, run_id: str) -> None:
    backup(runs)
    before = store_file(runs).stat().st_ino
    trainer = subprocess.Popen([sys.executable, "-c", _TRAINER, runs, run_id], stdout=subprocess.PIPE, text=True)
    try:
        assert trainer.stdout is not None
        assert trainer.stdout.readline() == "locked\n"
        with pytest.raises(BusyError, match=f"run {run_id} has a live trainer; .*stop {run_id}"):
            restore_backup(runs)
        assert store_file(runs).stat().st_ino == before
    finally:
        trainer.kill()
        trainer.communicate()
    assert restore_backup(runs) is not None


def test_a_restore_without_a_whole_backup_changes_nothing(store: RunStore, runs: Path, run_id: str) -> None:
    with pytest.raises(StoreError, match=r"no backup that is whole; `simclr-tui doctor --rebuild`"):
        restore_backup(runs)
    spoil(backup(runs).path)
    with pytest.raises(StoreError, match="no backup that is whole"):
        restore_backup(runs)
    assert store.last_step(run_id) == 3000
    assert not list(runs.glob("*.damaged-*"))


def test_damage_is_found_and_refused_in_one_sentence(store: RunStore, runs: Path, run_id: str) -> None:
    refuse_damaged(store)
    store.close()
    spoil(store_file(runs))
    with closing(StoreReader.open(runs)) as reader:
        with pytest.raises(StoreError, match=r"runs\.db is damaged .*`simclr-tui doctor`") as caught:
            refuse_damaged(reader)
        assert "\n" not in str(caught.value)


def test_looking_for_damage_is_cut_off_and_the_connection_is_as_good_as_before(store: RunStore, run_id: str) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(sqlite3.OperationalError, match="interrupted"), interrupted_after(store.connection, 0.05):
        store.connection.execute(endless).fetchone()
    store.connection.set_progress_handler(lambda: 1, 1)
    assert find_damage(store.connection, seconds=60) is None
    store.connection.set_progress_handler(None, 1)
    assert find_damage(store.connection, seconds=60) is None
    assert store.last_step(run_id) == 3000


@pytest.fixture
def told() -> list[tuple[str, str]]:
    """What a timer told."""
    return []


def ticking(timer: BackupTimer) -> None:
    """Tick until what it started is done."""
    timer.tick()
    if timer._thread is not None:
        timer._thread.join(60)


def test_a_timer_makes_the_first_backup_after_a_while_and_the_next_hours_later(
    store: RunStore, runs: Path, run_id: str, told: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = BackupTimer(runs, lambda *said: told.append(said))
    ticking(timer)
    assert backups(runs) == []
    monkeypatch.setattr(backup_timer, "FIRST_SECONDS", 0.0)
    timer = BackupTimer(runs, lambda *said: told.append(said))
    ticking(timer)
    (first,) = backups(runs)
    timer._look_at = 0.0
    ticking(timer)
    assert backups(runs) == [first], "it is new enough"
    os.utime(first.path, (time.time() - 3 * 3600,) * 2)
    timer._look_at = 0.0
    ticking(timer)
    assert len(backups(runs)) == 2
    assert [level for level, _ in told] == ["info"]
    assert "backed up the store" in told[0][1]


def test_a_timer_tells_once_why_there_is_no_backup_and_tries_again(
    store: RunStore, runs: Path, run_id: str, told: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_timer, "FIRST_SECONDS", 0.0)
    (runs / "backups").write_text("in the way")
    timer = BackupTimer(runs, lambda *said: told.append(said))
    for _ in range(3):
        timer._look_at = 0.0
        ticking(timer)
    ((level, sentence),) = told
    assert level == "warning"
    assert sentence.startswith("no backup of the store could be made: ")
    (runs / "backups").unlink()
    timer._look_at = 0.0
    ticking(timer)
    assert [level for level, _ in told] == ["warning", "info"]


def test_a_trainer_backs_up_its_store_while_its_heart_beats(
    store: RunStore, runs: Path, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_timer, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr("trainer.monitor.INTERVAL_SECONDS", 0.02)
    with Monitor(runs, run_id, CpuSampler()):
        deadline = time.monotonic() + 60
        while not any(event.kind == "backup" for event in store.events(run_id=run_id)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert latest_backup(runs) is not None
    assert store.run(run_id).alive_at is not None
