"""The trash against a disk, a store and processes that end at any call; nothing here is made up but the weights."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.processes import finishes
from tests.simclr_tui.support import Holder
from tests.trainer.checkpoint_files import write_checkpoint
from trainer import trash
from trainer.config import PretrainConfig
from trainer.control import Control
from trainer.doctor import runs as doctor_runs
from trainer.drift import change_settings
from trainer.errors import BusyError, ExitCode, TrainerError, UnknownRunError, UsageError
from trainer.evaluate_config import EvaluateConfig
from trainer.exclusive import only_one
from trainer.fork import new_fork_run
from trainer.job import Job
from trainer.manifest import fault_of, read_manifest
from trainer.paths import EMPTIED, checkpoint_dir, emptied_dir, log_file, run_dir
from trainer.rebuild import rebuild
from trainer.report import make_reporter
from trainer.run_options import run_parser
from trainer.start import new_evaluate_run, new_pretrain_run, restart, start_run
from trainer.store import Run, RunStore, StoreReader
from trainer.store.labels import change_labels, labels_of, write_labels
from trainer.store.queue import put_row, queue_rows
from trainer.store.records import Labels, StepRow
from trainer.wanted_run import find_or_make

CONFIG = PretrainConfig(dataset="shapes", epochs=9, threads=1)


def made(store: RunStore, name: str, lifecycle: str = "paused", *, steps: tuple[int, ...] = (15, 25)) -> Run:
    """A run with checkpoints, rows in many tables and files of its own."""
    run_id = new_pretrain_run(store, CONFIG, name=name)
    for step in steps:
        write_checkpoint(store, run_id, step)
    rows = [
        StepRow(step=n, epoch=1, loss=1.0, acc_top1=0.1, acc_top5=0.2, acc_mean_pos=2.0, lr=1e-3, grad_norm=1.0,
                t_data=0.1, t_batch=0.2)
        for n in range(1, 40)
    ]  # fmt: skip
    store.append(run_id, rows)
    store.put_metrics(run_id, 15, {"rank": 3.0})
    store.pin_checkpoint(run_id, 15)
    log_file(store.runs_path, run_id).write_text("it went well\n")
    if lifecycle:
        store.lifecycle(run_id, lifecycle, f"{lifecycle} by a test")
    return store.run(run_id)


@pytest.fixture
def run(store: RunStore) -> Run:
    """A paused one."""
    return made(store, "first")


def rows_of(store: StoreReader, run_id: str) -> dict[str, int]:
    """How many rows every table has of a run."""
    tables = [row[0] for row in store.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {"runs": store.connection.execute("SELECT count(*) FROM runs WHERE id = ?", (run_id,)).fetchone()[0]}
    for table in tables:
        if any(row[1] == "run_id" for row in store.connection.execute(f"PRAGMA table_info({table})")):
            query = f"SELECT count(*) FROM {table} WHERE run_id = ?"
            found[table] = store.connection.execute(query, (run_id,)).fetchone()[0]
    return {table: count for table, count in found.items() if count}


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def empty(store: RunStore) -> trash.Emptied:
    """Empty the trash of a folder."""
    return trash.empty(store, trash.contents(store, store.runs_path))


def test_what_is_put_into_the_trash_and_taken_out_is_as_it_was(store: RunStore, run: Run) -> None:
    write_labels(store, run.id, Labels(tags=("baseline",), note="kept", is_pinned=True))
    files, rows = files_of(run_dir(store.runs_path, run.id)), rows_of(store, run.id)
    trash.put(store, run.id)
    assert labels_of(store, run.id).is_hidden
    (one,) = trash.contents(store, store.runs_path)
    assert (one.run.id, one.is_going, one.shared_bytes) == (run.id, False, 0)
    assert one.at == pytest.approx(time.time(), abs=60)
    assert one.bytes >= sum(map(len, files.values()))
    with pytest.raises(UsageError, match="is in the trash already"):
        trash.put(store, run.id)
    trash.take_out(store, run.id)
    assert labels_of(store, run.id) == Labels(tags=("baseline",), note="kept", is_pinned=True)
    assert trash.contents(store, store.runs_path) == []
    assert files_of(run_dir(store.runs_path, run.id)) == files
    assert rows_of(store, run.id) == rows | {"events": rows["events"] + 2}
    with pytest.raises(UsageError, match="is not in the trash; there is nothing to restore"):
        trash.take_out(store, run.id)


def test_emptied_it_is_gone_from_disk_and_store_and_nobody_else_is_touched(store: RunStore, run: Run) -> None:
    other = made(store, "other")
    files, rows = files_of(run_dir(store.runs_path, other.id)), rows_of(store, other.id)
    trash.put(store, run.id)
    (size,) = (one.bytes for one in trash.contents(store, store.runs_path))
    assert empty(store) == trash.Emptied([run.id], size, {})
    assert rows_of(store, run.id) == {}
    assert not run_dir(store.runs_path, run.id).exists()
    assert not emptied_dir(store.runs_path, run.id).exists()
    assert (files_of(run_dir(store.runs_path, other.id)), rows_of(store, other.id)) == (files, rows)
    assert rebuild(store.runs_path).runs == []
    assert [one.name for one in store.runs()] == ["other"]
    with pytest.raises(UnknownRunError):
        trash.take_out(store, run.id)


def test_more_rows_than_go_at_once_all_go(store: RunStore, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trash, "_ROWS_AT_ONCE", 7)
    assert rows_of(store, run.id)["steps"] == 39
    trash.put(store, run.id)
    empty(store)
    assert rows_of(store, run.id) == {}


def test_a_fork_keeps_its_checkpoint_and_says_where_it_came_from(store: RunStore, run: Run) -> None:
    child = new_fork_run(store, run, {}, name="child")
    trash.put(store, run.id)
    (one,) = trash.contents(store, store.runs_path)
    assert 0 < one.shared_bytes < one.bytes, "what the fork has too does not count as freed"
    assert empty(store).freed_bytes == one.bytes - one.shared_bytes
    (manifest,) = (read_manifest(path) for path in checkpoint_dir(store.runs_path, child).glob("step-*.json"))
    assert fault_of(manifest) is None
    assert (store.run(child).parent_run_id, store.run(child).parent_step) == (run.id, 25)
    assert rebuild(store.runs_path).runs == []


@pytest.mark.parametrize("lifecycle", ["started", "queued"])
def test_a_run_that_is_alive_or_waits_is_refused_with_the_remedy(store: RunStore, lifecycle: str) -> None:
    run = made(store, "busy", "")
    with Holder(store.runs_path, run.id):
        if lifecycle == "queued":
            store.lifecycle(run.id, "queued", "waits")
        with pytest.raises(UsageError, match="stop it first" if lifecycle == "started" else "waits in line; take it"):
            trash.put(store, run.id)
    assert labels_of(store, run.id) == Labels()
    trash.put(store, run.id)


def test_a_trainer_that_comes_in_the_same_moment_is_seen(
    store: RunStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took its lock after the first look, and may have looked for the label before that was written."""
    monkeypatch.setattr(trash, "_RELEASE_SECONDS", 0.1)
    holder: list[Holder] = []

    def come(*arguments: Any) -> Any:
        found = change_labels(*arguments)
        if not holder:
            holder.append(Holder(store.runs_path, run.id))
            store.lifecycle(run.id, "paused", "not claimed yet")
        return found

    monkeypatch.setattr(trash, "change_labels", come)
    with pytest.raises(BusyError, match="has not ended yet"):
        trash.put(store, run.id)
    assert labels_of(store, run.id) == Labels()
    holder[0].kill()


def test_a_run_that_is_evaluated_right_now_is_refused(store: RunStore, run: Run) -> None:
    job = new_evaluate_run(store, run, EvaluateConfig(run=run.id))
    with Holder(store.runs_path, job), pytest.raises(UsageError, match=r"first-evaluate .* evaluates first now"):
        trash.put(store, run.id)
    trash.put(store, run.id)


def test_its_place_in_a_line_is_given_up(store: RunStore, run: Run) -> None:
    put_row(store, run.id, "cpu", 1.0)
    trash.put(store, run.id)
    assert queue_rows(store) == []


def test_nothing_is_begun_with_a_run_in_the_trash(store: RunStore, run: Run) -> None:
    new_evaluate_run(store, run, EvaluateConfig(run=run.id))
    trash.put(store, run.id)
    ways: list[Callable[[], object]] = [
        lambda: start_run(store, run.id),
        lambda: start_run(store, run.id, in_line=True),
        lambda: new_fork_run(store, run, {}),
        lambda: new_evaluate_run(store, run, EvaluateConfig(run=run.id)),
        lambda: change_settings(store, run, {"num_workers": 1}),
    ]
    for way in ways:
        with pytest.raises(UsageError, match=f"first is in the trash; `simclr-tui restore {run.id}` takes it out"):
            way()
    assert not restart(store, run.id, "again", left=1, in_line=False, owner={"pid": 1})
    assert store.run(run.id).lifecycle == "paused"


@pytest.mark.parametrize("words", [["--run", "first"], ["--resume-or-start", "first"], ["--fork", "first"]])
def test_the_trainer_itself_refuses_it_with_code_2(store: RunStore, run: Run, words: list[str]) -> None:
    trash.put(store, run.id)
    command = [sys.executable, "-m", "trainer.run", "--runs-dir", str(store.runs_path), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.USAGE, done
    assert done.stderr == f"trainer: first is in the trash; `simclr-tui restore {run.id}` takes it out again\n"
    assert (store.run(run.id).lifecycle, len(store.runs())) == ("paused", 1)


def test_an_evaluation_whose_run_went_into_the_trash_ends_with_code_2(store: RunStore, run: Run) -> None:
    from trainer.evaluate import evaluate

    job_id = new_evaluate_run(store, run, EvaluateConfig(run=run.id))
    trash.put(store, run.id)
    job = Job(store.run(job_id), store, store.runs_path, Control(store, job_id), make_reporter(headless=False))
    with pytest.raises(UsageError, match="first is in the trash") as refused:
        evaluate(job)
    assert refused.value.exit_code == ExitCode.USAGE


def test_the_trainer_takes_the_run_of_a_name_that_is_not_in_the_trash(store: RunStore) -> None:
    older, newer = made(store, "same"), made(store, "same")
    options = run_parser().parse_args(["--resume-or-start", "same"])
    assert find_or_make(store, options).id == newer.id
    trash.put(store, newer.id)
    assert find_or_make(store, options).id == older.id


def test_a_name_means_the_run_that_is_not_in_the_trash(store: RunStore) -> None:
    older, newer = made(store, "same"), made(store, "same")
    assert store.find("same").id == newer.id
    trash.put(store, newer.id)
    assert store.find("same").id == older.id
    assert trash.find(store, "same").id == newer.id
    assert store.find(newer.id).id == newer.id
    trash.put(store, older.id)
    assert store.find("same").id == newer.id
    assert trash.find(store, "same").id == older.id, "the one that came into the trash last"
    assert trash.find(store, newer.id[:6]).id == newer.id
    trash.take_out(store, newer.id)
    with pytest.raises(UsageError, match="same is not in the trash"):
        trash.find(store, newer.id)
    with pytest.raises(UnknownRunError, match="'nobody'"):
        trash.find(store, "nobody")


def test_a_run_whose_lock_is_held_stays_until_it_is_free(
    store: RunStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash, "_RELEASE_SECONDS", 0.1)
    other = made(store, "other")
    for one in (run, other):
        trash.put(store, one.id)
    with Holder(store.runs_path, run.id):
        store.lifecycle(run.id, "paused", "paused")
        found = empty(store)
        assert found.run_ids == [other.id]
        assert "a trainer of first has not ended yet" in found.left[run.id]
        assert rows_of(store, run.id)["checkpoints"] == 2
        assert files_of(checkpoint_dir(store.runs_path, run.id))
    assert empty(store).run_ids == [run.id]


def test_two_do_not_empty_it_at_once(store: RunStore, run: Run) -> None:
    trash.put(store, run.id)
    held = only_one(store.runs_path / "trash.lock", told="this test has it")
    with held, pytest.raises(BusyError, match="another process empties the trash"):
        empty(store)
    assert rows_of(store, run.id)


@pytest.mark.parametrize("moment", ["before the rename", "after it"])
def test_taken_out_in_the_same_moment_it_stays_whole(
    store: RunStore, run: Run, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    trash.put(store, run.id)
    files, rows = files_of(run_dir(store.runs_path, run.id)), rows_of(store, run.id)
    # The label is looked for before the rename, which `sync` follows, and after it.
    name = "_refuse_taken_out" if moment == "before the rename" else "sync"
    real = getattr(trash, name)

    def take_out_first(*arguments: Any) -> Any:
        store.connection.execute("DELETE FROM annotations WHERE key = 'trashed'")
        return real(*arguments)

    monkeypatch.setattr(trash, name, take_out_first)
    assert empty(store).left == {run.id: "first was taken out of the trash meanwhile"}
    kept = files_of(run_dir(store.runs_path, run.id))
    kept.pop("run.lock")
    assert (kept, rows_of(store, run.id)) == (files, rows | {"annotations": rows["annotations"] - 1})
    assert not emptied_dir(store.runs_path, run.id).exists()


def test_once_its_deletion_has_begun_it_can_not_be_taken_out(store: RunStore, run: Run) -> None:
    trash.put(store, run.id)
    run_dir(store.runs_path, run.id).rename(emptied_dir(store.runs_path, run.id))
    assert trash.contents(store, store.runs_path)[0].is_going
    with pytest.raises(UsageError, match="is being deleted, and part of it is gone; `simclr-tui trash --empty`"):
        trash.take_out(store, run.id)
    checks = {check.name: check for check in doctor_runs.emptied(store.runs_path)}
    assert checks["trash"].seen == f"1 run deleted in part: {run.id}"
    assert empty(store).run_ids == [run.id]
    assert list(doctor_runs.emptied(store.runs_path)) == []


def test_a_run_without_a_folder_goes_too_and_a_link_is_not_followed(store: RunStore, run: Run, tmp_path: Path) -> None:
    linked = made(store, "linked")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("kept")
    (run_dir(store.runs_path, linked.id) / "link").symlink_to(elsewhere)
    shutil.rmtree(run_dir(store.runs_path, run.id))
    for one in (run, linked):
        trash.put(store, one.id)
    assert sorted(empty(store).run_ids) == sorted([run.id, linked.id])
    assert (elsewhere / "precious").read_text() == "kept"
    assert list(store.runs_path.glob(f"{EMPTIED}*")) == []


def test_the_doctor_has_nothing_against_labels_of_runs_that_are_gone_or_interrupted_ones_in_the_trash(
    store: RunStore, run: Run
) -> None:
    store.lifecycle(run.id, "interrupted", "lost")
    trash.put(store, run.id)
    store.connection.execute("INSERT INTO annotations VALUES ('aaaaaaaaaa', 'tag', 'left', 1.0)")
    stored = doctor_runs.read_store(store.runs_path)
    assert stored is not None
    found = list(doctor_runs.checks(store.runs_path, stored, depth="sizes"))
    assert [check.name for check in found if check.level != "ok"] == []


def test_ended_at_any_call_of_emptying_it_is_whole_in_the_trash_or_gone_for_good(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends before each call that changes the disk and before each commit."""
    monkeypatch.setattr(trash, "_ROWS_AT_ONCE", 30)
    run, other = made(store, "first", steps=(15,)), made(store, "other", steps=(15,))
    trash.put(store, run.id)
    files, rows = files_of(run_dir(store.runs_path, run.id)), rows_of(store, run.id)
    kept = files_of(run_dir(store.runs_path, other.id)), rows_of(store, other.id)
    store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    template = tmp_path / "template"
    shutil.copytree(store.runs_path, template)
    outcomes = []
    number = 0
    while True:
        number += 1
        runs = tmp_path / f"runs-{number}"
        shutil.copytree(template, runs)
        is_done = finishes(lambda runs=runs: _emptying(runs), number, _changes)  # type: ignore[misc]
        outcomes.append(_outcome(runs, run.id, files, rows))
        rebuilt = rebuild(runs).runs
        assert rebuilt == [], number
        again = RunStore.open(runs)
        assert (files_of(run_dir(runs, other.id)), rows_of(again, other.id)) == kept
        empty(again)
        assert rows_of(again, run.id) == {}
        assert [path.name for path in runs.iterdir() if path.is_dir() and path.name != "backups"] == [other.id]
        again.close()
        shutil.rmtree(runs)
        if is_done:
            break
    assert set(outcomes) == {"whole", "going", "gone"}
    assert outcomes == sorted(outcomes, key=["whole", "going", "gone"].index), "it never comes back"
    assert len(outcomes) > 15


def _emptying(runs: Path) -> Callable[[], object]:
    """What is killed: with an audit event for each SQL statement, since SQLite's own writes are none."""
    store = RunStore.open(runs)
    store.connection.set_trace_callback(lambda statement: sys.audit("tests.sql", statement))
    return lambda: empty(store)


def _changes(event: str, about: str) -> bool:
    if event == "tests.sql":
        return about == "COMMIT"
    return event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir")


def _outcome(runs: Path, run_id: str, files: dict[str, bytes], rows: dict[str, int]) -> str:
    """What a person finds after it: all of it in the trash, something that is on its way, or nothing."""
    store = RunStore.open(runs)
    try:
        found = rows_of(store, run_id)
        if not found:
            assert not run_dir(runs, run_id).exists()
            return "gone"
        if emptied_dir(runs, run_id).exists():
            assert not run_dir(runs, run_id).exists()
            with pytest.raises(TrainerError, match="is being deleted"):
                trash.take_out(store, run_id)
            return "going"
        there = files_of(run_dir(runs, run_id))
        there.pop("run.lock", None)
        assert (there, found) == (files, rows)
        return "whole"
    finally:
        store.close()


def test_among_very_many_runs_one_is_put_into_the_trash_without_reading_all(
    store: RunStore, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoreReader, "runs", lambda _: pytest.fail("every run was read"))
    trash.put(store, run.id)
    assert labels_of(store, run.id).trashed_at is not None
