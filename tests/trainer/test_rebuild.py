"""The run table made anew: from manifests where the store is lost, and from what is left of it where it is damaged."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.reliability import trainers
from tests.simclr_tui.support import Holder
from tests.trainer.doctor.checkpoint_files import CONFIG, add_run_with_checkpoints, orphan, put_checkpoint_files
from tests.trainer.test_manifest import HOSTILE, flip_bit
from tests.trainer.test_store import step_row
from trainer import checkpoint
from trainer.doctor import database
from trainer.doctor.database import kind_of
from trainer.errors import BusyError, StoreError, StoreVersionError, UsageError
from trainer.evaluate_config import EvaluateConfig
from trainer.paths import checkpoint_dir, store_file
from trainer.rebuild import rebuild, restore
from trainer.start import new_evaluate_run
from trainer.state import run_state
from trainer.store.backup import backup
from trainer.store.connect import SCHEMA_VERSION
from trainer.store.reader import StoreReader
from trainer.store.records import Checkpoint, Event, Run
from trainer.store.runs import RunStore
from trainer.summary import manifest_summary


def stored(runs: Path) -> dict[str, Run]:
    with closing(StoreReader.open(runs)) as reader:
        return {run.id: run for run in reader.runs()}


def announced(runs: Path, run_id: str) -> list[Checkpoint]:
    with closing(StoreReader.open(runs)) as reader:
        return reader.checkpoints(run_id)


def events(runs: Path, run_id: str) -> list[Event]:
    with closing(StoreReader.open(runs)) as reader:
        return reader.events(run_id=run_id)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file that is no part of a store."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("runs.")
    }


def test_a_lost_store_is_made_anew_from_the_manifests(runs: Path) -> None:
    run_id = orphan(runs, 10, 20, name="Größe 🎉", preset="demo", knn_top1=0.25)
    done = orphan(runs, 24, reason="final")
    before = tree(runs)
    result = rebuild(runs)
    assert sorted(result.runs) == sorted([run_id, done])
    assert (result.checkpoints, result.set_aside, result.passed_over) == (3, None, [])
    run = stored(runs)[run_id]
    assert (run.name, run.kind, run.preset, run.created_at) == ("Größe 🎉", "pretrain", "demo", 1_700_000_000.0)
    assert (run.step, run.epoch, run.batch_size, run.lifecycle) == (20, 1, 10, "interrupted")
    assert json.loads(run.config) == json.loads(CONFIG.to_json())
    assert run_state(run, runs) == "interrupted"
    assert stored(runs)[done].lifecycle == "finished"
    rows = announced(runs, run_id)
    assert [row.step for row in rows] == [20, 10]
    assert all((runs / row.path).stat().st_size == row.bytes and row.verified_at for row in rows)
    assert rows[0].knn_top1 == 0.25
    assert [event.message for event in events(runs, run_id)][-1].startswith("rebuilt from 2 checkpoints")
    assert tree(runs) == before


@pytest.mark.parametrize("harm", ["lost", "damaged", "restored"])
def test_what_only_a_pin_can_have_kept_is_pinned_again(runs: Path, harm: str) -> None:
    """Only the store knew of the pin, and the next save would delete what nothing keeps."""
    with closing(RunStore.open(runs)) as store:
        run_id = add_run_with_checkpoints(store)
    if harm == "restored":
        backup(runs)
    for step in (8, 12, 16, 20):
        put_checkpoint_files(runs, run_id, step)
    store_file(runs).unlink() if harm == "lost" else store_file(runs).write_bytes(b"no database" * 999)
    restore(runs) if harm == "restored" else rebuild(runs)
    with closing(StoreReader.open(runs)) as reader:
        assert reader.pinned_checkpoints(run_id) == {8}
    assert "(1 of them pinned, since the settings alone" in events(runs, run_id)[-1].message


@pytest.mark.parametrize("column", ["runs.name", "runs.config", "events.message"])
@pytest.mark.parametrize("way", [rebuild, restore])
def test_text_in_which_a_bit_was_flipped_is_damage_with_a_way_back(
    runs: Path, column: str, way: Callable[[Path], object]
) -> None:
    """SQLite takes any bytes for text, and its own checks say nothing."""
    with closing(RunStore.open(runs)) as store:
        run_id = add_run_with_checkpoints(store, 5, name="a run")
        store.append(run_id, [step_row(4), step_row(5)])
        backup(runs)
        table, name = column.split(".")
        store.connection.execute(f"UPDATE {table} SET {name} = CAST(X'22FF22' AS TEXT)")
        with pytest.raises(StoreError, match="is damaged"):
            backup(runs)
    with closing(database.connect(store_file(runs))) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = database.integrity(connection, store_file(runs), quick=True)
    assert (found.level, f"column {name} of table {table} has text that is none" in found.seen) == ("bad", True)
    way(runs)
    run = stored(runs)[run_id]
    assert json.loads(run.config) == json.loads(CONFIG.to_json())
    with closing(StoreReader.open(runs)) as reader:
        assert [row["step"] for row in reader.steps(run_id)] == [4, 5]
        assert reader.events()


def test_a_store_that_is_whole_knows_itself_what_is_pinned(runs: Path, store: RunStore) -> None:
    run_id = add_run_with_checkpoints(store, 12, 16, 20, lifecycle="paused")
    put_checkpoint_files(runs, run_id, 4)
    assert rebuild(runs).checkpoints == 1
    assert store.pinned_checkpoints(run_id) == frozenset()


@pytest.mark.parametrize(
    ("reason", "lifecycle"),
    [("final", "finished"), ("stopped", "stopped"), ("paused", "paused"), ("interval", "interrupted")],
)
def test_how_a_run_ended_follows_from_its_newest_checkpoint(runs: Path, reason: str, lifecycle: str) -> None:
    run_id = orphan(runs, 1, reason="final")
    put_checkpoint_files(runs, run_id, 2, reason=reason)
    rebuild(runs)
    assert stored(runs)[run_id].lifecycle == lifecycle


def test_a_second_time_nothing_is_added(runs: Path) -> None:
    run_id = orphan(runs, 1, 2)
    rebuild(runs)
    before = len(events(runs, run_id))
    again = rebuild(runs)
    assert (again.runs, again.checkpoints, again.set_aside) == ([], 0, None)
    assert len(events(runs, run_id)) == before


def test_a_store_that_is_whole_is_only_added_to(runs: Path, store: RunStore) -> None:
    known = add_run_with_checkpoints(store, 1, 2, name="known", lifecycle="paused")
    store.append(known, [step_row(1), step_row(2)])
    store.forget_checkpoint(known, 2)
    lost = orphan(runs, 7)
    row = store.run(known)
    result = rebuild(runs)
    assert (result.runs, result.checkpoints, result.set_aside) == ([lost], 2, None)
    assert store.run(known) == row
    assert [one.step for one in store.checkpoints(known)] == [2, 1]
    assert len(store.steps(known)) == 2


def test_what_a_manifest_holds_of_the_row_comes_back(runs: Path) -> None:
    with closing(RunStore.open(runs)) as store:
        run_id = add_run_with_checkpoints(store, 5)
        columns = {
            "total_steps": 24,
            "steps_per_epoch": 8,
            "trained_seconds": 1.5,
            "device": "CPU",
            "exactness": "promised",
        }
        store.update_run(run_id, fingerprint='{"torch": "2.13"}', parent_run_id="a000000000", parent_step=3, **columns)
        store.append(run_id, [step_row(5, 2.25)])
        before = store.run(run_id)
        summary = manifest_summary(before)
    put_checkpoint_files(runs, run_id, 6, summary=summary)
    store_file(runs).unlink()
    rebuild(runs)
    after = stored(runs)[run_id]
    for name in (*columns, "fingerprint", "parent_run_id", "parent_step"):
        assert getattr(after, name) == getattr(before, name), name
    assert "the last loss was 2.25" in events(runs, run_id)[-1].message


def test_a_fork_is_a_fork_again(runs: Path) -> None:
    run_id = orphan(runs, 5, parent_run_id="a000000000", parent_step=4)
    rebuild(runs)
    run = stored(runs)[run_id]
    assert (run.parent_run_id, run.parent_step) == ("a000000000", 4)


@pytest.mark.parametrize(
    "summary",
    [
        {"parent_run_id": "../../etc", "total_steps": -1, "trained_seconds": float("nan"), "device": "a\x1bb"},
        {"fingerprint": "[" * 100_000, "exactness": 7, "parent_step": True, "total_steps": 2**70},
        {"lifecycle": "finished", "id": "b000000000", "pid": 1},
        {"loss": "high"},
        [],
        "text",
    ],
)
def test_a_summary_that_is_none_is_left_out(runs: Path, summary: Any) -> None:
    run_id = orphan(runs, 5, summary=summary)
    rebuild(runs)
    run = stored(runs)[run_id]
    for name in ("parent_run_id", "total_steps", "trained_seconds", "device", "fingerprint", "exactness", "pid"):
        assert getattr(run, name) is None, name
    assert (run.id, run.lifecycle) == (run_id, "interrupted")


def test_damaged_checkpoints_are_not_announced_and_the_run_comes_back(runs: Path) -> None:
    run_id = orphan(runs, 10, 20)
    (newest,) = (runs / run_id / "checkpoints").glob("step-20-*.pt")
    flip_bit(newest)
    result = rebuild(runs)
    assert result.checkpoints == 1
    assert newest.name in result.passed_over[0]
    assert [row.step for row in announced(runs, run_id)] == [10]
    assert newest.exists()


def test_hostile_manifests_are_passed_over_with_a_sentence_each_and_the_rest_comes_back(
    runs: Path, tmp_path: Path
) -> None:
    good = orphan(runs, 1)
    for changes in HOSTILE.values():
        run_id = orphan(runs, 5)
        (runs / run_id / "checkpoints" / "step-5.json").unlink()
        put_checkpoint_files(runs, run_id, 5, **changes)
    elsewhere = orphan(tmp_path / "elsewhere", 1)
    (runs / "zzzzzzzzzz").symlink_to(tmp_path / "elsewhere" / elsewhere)
    before, outside = tree(runs), tree(tmp_path / "elsewhere")
    result = rebuild(runs)
    assert result.runs == [good]
    assert len(result.passed_over) == len(HOSTILE) + 1
    assert all("\n" not in sentence for sentence in result.passed_over)
    assert tree(runs) == before
    assert tree(tmp_path / "elsewhere") == outside


def test_an_older_manifest_stands_in_for_one_that_was_spoilt(runs: Path) -> None:
    run_id = orphan(runs, 10, 20)
    (runs / run_id / "checkpoints" / "step-20.json").write_text("{")
    result = rebuild(runs)
    assert result.runs == [run_id]
    assert stored(runs)[run_id].step == 10


def spoil(path: Path, pages: range) -> None:
    data = bytearray(path.read_bytes())
    for page in pages:
        data[page * 4096 : (page + 1) * 4096] = b"\xff" * 4096
    path.write_bytes(bytes(data))


def closed_store(runs: Path, *, steps: int = 500) -> str:
    """A store with one run and nothing in its log; the run's id."""
    with closing(RunStore.open(runs)) as store:
        run_id = add_run_with_checkpoints(store, 10, 20, name="known", lifecycle="paused")
        store.append(run_id, [step_row(step) for step in range(1, steps + 1)])
        store.put_evaluations(
            run_id,
            [{"step": 20, "protocol": "knn", "layer": "h", "labels_per_class": 0, "seed": 0, "top1": 0.5, "images": 9}],
        )
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return run_id


def test_a_damaged_store_is_set_aside_whole_and_what_it_still_gives_is_kept(runs: Path) -> None:
    run_id = closed_store(runs)
    lost = orphan(runs, 3)
    path = store_file(runs)
    pages = path.stat().st_size // 4096
    spoil(path, range(pages - 3, pages))
    damaged = path.read_bytes()
    result = rebuild(runs)
    assert result.set_aside is not None
    assert result.set_aside.read_bytes() == damaged
    assert result.runs == [lost]
    assert sorted(stored(runs)) == sorted([run_id, lost])
    run = stored(runs)[run_id]
    assert (run.name, run.lifecycle) == ("known", "paused")
    with closing(StoreReader.open(runs)) as reader:
        assert len(reader.steps(run_id)) == result.carried["steps"] > 300
        assert [row.top1 for row in reader.evaluations(run_id)] == [0.5]
        assert [row.step for row in reader.checkpoints(run_id)] == [20, 10]
    with closing(RunStore.open(runs)) as store:
        assert store.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        store.event(run_id, "note", "the new store can be written")


@pytest.mark.parametrize(
    "content", [b"", b"a text" * 5000, b"SQLite format 3\0" + b"\xff" * 8176], ids=["", "text", "head"]
)
def test_a_store_of_which_nothing_is_left_is_made_of_the_manifests(runs: Path, content: bytes) -> None:
    run_id = orphan(runs, 3)
    store_file(runs).write_bytes(content)
    result = rebuild(runs)
    assert result.runs == [run_id]
    if content:
        assert result.set_aside is not None
        assert result.set_aside.read_bytes() == content


def test_the_log_of_a_damaged_store_is_kept_with_it_and_never_played_into_the_new_one(runs: Path) -> None:
    closed_store(runs)
    log = store_file(runs).with_name("runs.db-wal")
    writer = [
        sys.executable,
        "-c",
        "import os, sys; from pathlib import Path; from trainer.store import RunStore;"
        " s = RunStore.open(Path(sys.argv[1])); s.event(s.runs()[0].id, 'late', 'in the log'); os._exit(0)",
        str(runs),
    ]
    subprocess.run(writer, check=True)
    content = log.read_bytes()
    assert content
    with store_file(runs).open("r+b") as file:
        file.write(b"no store anymore")
    result = rebuild(runs)
    assert result.set_aside is not None
    assert result.set_aside.with_name(result.set_aside.name + "-wal").read_bytes() == content
    assert not log.exists()


def test_a_live_trainer_is_not_disturbed(runs: Path) -> None:
    run_id = closed_store(runs)
    spoil(store_file(runs), range(5, 9))
    (runs / "runs.lock").touch()
    before = store_file(runs).read_bytes()
    hold = "import sys; from pathlib import Path; from trainer.process import RunLock;"
    hold += " lock = RunLock(Path(sys.argv[1]), sys.argv[2]); print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", hold, str(runs), run_id], stdin=-1, stdout=-1)
    assert child.stdout is not None
    child.stdout.readline()
    for way in (rebuild, restore):
        with pytest.raises(BusyError, match=f"{run_id} has a live trainer"):
            way(runs)
    child.communicate(b"\n")
    assert store_file(runs).read_bytes() == before
    rebuild(runs)


def test_a_live_trainer_of_a_whole_store_forbids_it_too(runs: Path, store: RunStore) -> None:
    run_id = add_run_with_checkpoints(store, 1)
    with Holder(runs, run_id), pytest.raises(BusyError):
        rebuild(runs)


def test_a_program_that_may_write_forbids_it_and_one_that_reads_does_not(runs: Path) -> None:
    closed_store(runs)
    spoil(store_file(runs), range(5, 9))
    hold = "import sys, sqlite3; c = sqlite3.connect(f'file:{sys.argv[1]}?mode={sys.argv[2]}', uri=True);"
    hold += " c.execute('PRAGMA user_version').fetchone(); print(flush=True); input()"
    for mode in ("rw", "ro"):
        child = subprocess.Popen([sys.executable, "-c", hold, str(store_file(runs)), mode], stdin=-1, stdout=-1)
        assert child.stdout is not None
        child.stdout.readline()
        if mode == "rw":
            with pytest.raises(BusyError, match=f"process {child.pid} "):
                rebuild(runs)
        else:
            assert rebuild(runs).set_aside is not None
        child.communicate(b"\n")


def test_what_is_not_ours_is_refused_and_not_touched(runs: Path, tmp_path: Path) -> None:
    orphan(runs, 1)
    path = store_file(runs)
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE bookmarks (id INTEGER)")
    before = path.read_bytes()
    for way in (rebuild, restore):
        with pytest.raises(StoreError, match="another program"):
            way(runs)
    assert path.read_bytes() == before
    path.unlink()
    closed_store(runs)
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for way in (rebuild, restore):
        with pytest.raises(StoreVersionError):
            way(runs)
        with pytest.raises(UsageError):
            way(tmp_path / "nowhere")
    assert kind_of(path) == "newer"


def test_where_there_is_nothing_to_make_one_of_no_store_is_made(runs: Path) -> None:
    runs.mkdir()
    with pytest.raises(StoreError, match="no checkpoint"):
        rebuild(runs)
    assert list(runs.iterdir()) == []


def test_the_newest_backup_comes_back_with_what_is_newer_than_it(runs: Path) -> None:
    run_id = closed_store(runs, steps=100)
    backup(runs)
    time.sleep(0.01)
    with closing(RunStore.open(runs)) as store:
        store.append(run_id, [step_row(step) for step in range(101, 301)])
        later = add_run_with_checkpoints(store, 5, name="later")
        store.lifecycle(run_id, "finished", "finished by a test")
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    unknown = orphan(runs, 9)
    path = store_file(runs)
    with path.open("r+b") as file:
        file.write(bytes(100))
    damaged = path.read_bytes()
    taken, result = restore(runs)
    assert taken.path == runs / "backups" / "runs.db"
    assert result.set_aside is not None
    assert result.set_aside.read_bytes() == damaged
    assert set(stored(runs)) == {run_id, later, unknown}
    with closing(StoreReader.open(runs)) as reader:
        assert len(reader.steps(run_id)) >= 100


def test_rows_newer_than_the_backup_are_taken_from_the_damaged_store(runs: Path) -> None:
    run_id = closed_store(runs, steps=100)
    backup(runs)
    with closing(RunStore.open(runs)) as store:
        store.append(run_id, [step_row(step) for step in range(101, 301)])
        store.lifecycle(run_id, "finished", "finished by a test")
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        indexes = [
            row[0]
            for row in store.connection.execute(
                "SELECT pageno FROM dbstat WHERE name LIKE 'sqlite_autoindex_steps%' AND pagetype = 'leaf'"
            )
        ]
    spoil(store_file(runs), range(indexes[0] - 1, indexes[0]))
    restore(runs)
    with closing(StoreReader.open(runs)) as reader:
        assert [row["step"] for row in reader.steps(run_id)] == list(range(1, 301))
        assert reader.run(run_id).lifecycle == "finished"
        kinds = [event.kind for event in reader.events(run_id=run_id)]
    assert kinds.count("finished") == 1


def test_a_store_that_is_whole_is_not_replaced_by_a_backup(runs: Path) -> None:
    closed_store(runs)
    backup(runs)
    with pytest.raises(UsageError, match="is whole"):
        restore(runs)


def test_without_a_backup_the_other_way_is_named(runs: Path) -> None:
    closed_store(runs)
    spoil(store_file(runs), range(1, 9))
    with pytest.raises(StoreError, match="--rebuild"):
        restore(runs)


@pytest.mark.timeout(300)
def test_a_run_whose_store_was_lost_resumes_exactly(runs: Path) -> None:
    calm = trainers.run_to_end(runs, *trainers.options(name="calm"))
    with closing(RunStore.open(runs)) as store:
        config = store.run(calm).config
        killed = store.create_run(kind="pretrain", name="killed", config=config)
    trainer = trainers.Trainer(runs, "--run", killed)
    folder = checkpoint_dir(runs, killed)
    trainers.until(lambda: max(checkpoint.steps_on_disk(folder), default=0) >= 10)
    trainer.kill()
    undisturbed, weights = trainers.steps(runs, calm), trainers.weights(runs, calm)
    reached = checkpoint.steps_on_disk(folder)[0]
    for path in runs.glob("runs.db*"):
        path.unlink()
    assert sorted(rebuild(runs).runs) == sorted([calm, killed])
    assert (stored(runs)[calm].lifecycle, stored(runs)[killed].lifecycle) == ("finished", "interrupted")
    again = trainers.Trainer(runs, "--run", killed)
    assert again.wait() == 0, again.said()
    rows = trainers.steps(runs, killed)
    assert [row[0] for row in rows] == list(range(reached + 1, 25))
    assert rows == undisturbed[reached:]
    assert trainers.weights(runs, killed).keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in trainers.weights(runs, killed).items())
    with closing(RunStore.open(runs)) as store:
        job = new_evaluate_run(store, store.run(calm), EvaluateConfig(run=calm))
    scored = trainers.Trainer(runs, "--run", job)
    assert scored.wait() == 0, scored.said()
    with closing(StoreReader.open(runs)) as reader:
        assert reader.evaluations(calm)
