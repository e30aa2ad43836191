"""A child run has its checkpoint, whatever becomes of the parent, of the disk or of the process that makes it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.processes import finishes
from tests.trainer.checkpoint_files import STEPS_PER_EPOCH, manifest_of, write_checkpoint
from tests.trainer.test_keeper import make_keeper, save
from trainer import fork as fork_module
from trainer.checkpoint import steps_on_disk
from trainer.config import PretrainConfig
from trainer.errors import CheckpointError, ConfigError, StoreError, UsageError
from trainer.fork import new_fork_run
from trainer.keeper import CheckpointKeeper
from trainer.manifest import fault_of, read_manifest
from trainer.paths import checkpoint_dir
from trainer.seal import is_intact
from trainer.start import new_pretrain_run
from trainer.store import Run, RunStore

CONFIG = PretrainConfig(dataset="shapes", epochs=9, threads=1)


@pytest.fixture
def parent(store: RunStore) -> Run:
    """A run of nine epochs with ten steps each and checkpoints of 15, 25 and 35."""
    run_id = new_pretrain_run(store, CONFIG, name="first", preset="demo")
    for step in (15, 25, 35):
        write_checkpoint(store, run_id, step)
    return store.run(run_id)


def folders(runs: Path) -> set[str]:
    """The folders of runs that there are."""
    return {path.name for path in runs.iterdir() if path.is_dir()}


def test_a_child_has_a_row_a_checkpoint_and_a_manifest_of_its_own(store: RunStore, parent: Run) -> None:
    child = store.run(new_fork_run(store, parent, {"learning_rate": 1e-4}, name="child"))
    assert (child.name, child.kind, child.preset, child.lifecycle) == ("child", "pretrain", "demo", "created")
    assert (child.parent_run_id, child.parent_step) == (parent.id, 35)
    config = PretrainConfig.from_json(child.config)
    assert config == PretrainConfig.from_json(
        parent.config.replace('"learning_rate": 0.0005', '"learning_rate": 0.0001')
    )
    (row,) = store.checkpoints(child.id)
    assert (row.step, row.epoch, row.reason) == (35, 4, "fork")
    assert row.verified_at is not None
    manifest = manifest_of(store, child.id, 35)
    assert is_intact(manifest)
    assert (manifest["run_id"], manifest["parent_run_id"], manifest["parent_step"]) == (child.id, parent.id, 35)
    assert PretrainConfig.from_json(manifest["config"]) == config
    assert PretrainConfig.from_json(manifest["parent_config"]) == PretrainConfig.from_json(parent.config)
    checked = read_manifest(checkpoint_dir(store.runs_path, child.id) / "step-35.json")
    assert fault_of(checked) is None
    assert (store.runs_path / row.path).read_bytes() == (
        store.runs_path / store.checkpoints(parent.id)[0].path
    ).read_bytes()


def test_both_runs_tell_of_it(store: RunStore, parent: Run) -> None:
    child = new_fork_run(store, parent, {"epochs": 20}, step=25, name="child")
    (birth,) = store.events(run_id=child)
    told = store.events(run_id=parent.id)[-1]
    assert (birth.kind, told.kind, told.step) == ("created", "forked", 25)
    assert birth.message == told.message
    assert told.message.startswith("child forked from first at step 25 (epoch 3) · epochs 9 → 20 · the cosine is then")


def test_the_name_is_made_from_the_parents_and_is_free(store: RunStore, parent: Run) -> None:
    names = [store.run(new_fork_run(store, parent, {})).name for _ in range(3)]
    assert names == ["first-fork", "first-fork-2", "first-fork-3"]
    long = store.run(new_pretrain_run(store, CONFIG, name="あ" * 30))
    write_checkpoint(store, long.id, 5)
    assert store.run(new_fork_run(store, store.run(long.id), {})).name == "あ" * 27 + "-fork"
    with pytest.raises(ConfigError, match="--name"):
        new_fork_run(store, parent, {}, name="x" * 61)


def test_without_a_changed_result_a_child_keeps_what_is_promised(store: RunStore, parent: Run) -> None:
    store.update_run(parent.id, fingerprint='{"torch": "2"}', exactness="promised")
    parent = store.run(parent.id)
    same = store.run(new_fork_run(store, parent, {"num_workers": 9}))
    other = store.run(new_fork_run(store, parent, {"temperature": 0.5}))
    assert (same.fingerprint, same.exactness) == (parent.fingerprint, "promised")
    assert (other.fingerprint, other.exactness) == (None, None)


def test_a_child_of_a_child_that_never_began_adapts_what_the_first_one_would_have(store: RunStore, parent: Run) -> None:
    """The checkpoint is still their grandparent's: its step is counted by its steps an epoch, and so is its state."""
    child = store.run(new_fork_run(store, parent, {"batch_size": 64, "optimizer": "sgd"}, fresh_optimizer=True))
    grandchild = new_fork_run(store, child, {"temperature": 0.5})
    manifest = manifest_of(store, grandchild, 35)
    assert (manifest["parent_steps_per_epoch"], manifest["fresh_optimizer"]) == (STEPS_PER_EPOCH, True)
    assert (manifest["parent_run_id"], store.run(grandchild).steps_per_epoch) == (child.id, None)
    assert store.events(run_id=grandchild)[0].message.endswith("with a new optimiser")


def test_a_child_of_a_child_that_has_begun_takes_over_from_it_alone(store: RunStore, parent: Run) -> None:
    child = new_fork_run(store, parent, {"batch_size": 64, "optimizer": "sgd"}, fresh_optimizer=True)
    write_checkpoint(store, child, 50, steps_per_epoch=20)
    manifest = manifest_of(store, new_fork_run(store, store.run(child), {}), 50)
    assert (manifest["parent_steps_per_epoch"], manifest["fresh_optimizer"]) == (20, False)


def test_a_child_of_a_child_that_never_began_must_have_something_left_to_train_as_well(store: RunStore) -> None:
    run_id = new_pretrain_run(store, CONFIG, name="first")
    write_checkpoint(store, run_id, 90, reason="final")
    child = store.run(new_fork_run(store, store.run(run_id), {"epochs": 12}))
    with pytest.raises(ConfigError, match="--epochs: the checkpoint of step 90 is in epoch 9 already, so that 9 leave"):
        new_fork_run(store, child, {"epochs": 9})


def test_the_parents_pruning_leaves_the_childs_checkpoint(store: RunStore, runs: Path) -> None:
    """With a real keeper, which deletes all but the two newest."""
    run_id = new_pretrain_run(store, PretrainConfig(keep_checkpoints=2), name="first")
    config = PretrainConfig.from_json(store.run(run_id).config)
    keeper = CheckpointKeeper(store, runs, run_id, config)
    save(keeper, 1)
    child = store.run(new_fork_run(store, store.run(run_id), {"temperature": 0.5}))
    original = (runs / store.checkpoints(run_id)[0].path).stat()
    for step in range(2, 6):
        save(keeper, step)
    assert steps_on_disk(checkpoint_dir(runs, run_id)) == [5, 4], "the parent's own is gone"
    found = CheckpointKeeper(store, runs, child.id, PretrainConfig.from_json(child.config)).newest(owner=True)
    assert found is not None
    assert found[0]["step"] == 1
    copy = (runs / store.checkpoints(child.id)[0].path).stat()
    assert copy.st_ino == original.st_ino, "linked, so that it takes no room"


def test_a_path_to_the_parents_file_would_be_lost_by_the_same_pruning(store: RunStore, runs: Path) -> None:
    """The negative control: a child that only points to where the parent has it."""
    run_id = new_pretrain_run(store, PretrainConfig(keep_checkpoints=2), name="first")
    keeper = CheckpointKeeper(store, runs, run_id, PretrainConfig.from_json(store.run(run_id).config))
    save(keeper, 1)
    path = runs / store.checkpoints(run_id)[0].path
    for step in range(2, 6):
        save(keeper, step)
    assert not path.exists()


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP])
def test_where_there_are_no_links_the_file_is_copied(
    store: RunStore, parent: Run, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    child = new_fork_run(store, parent, {})
    (row,) = store.checkpoints(child)
    own, theirs = store.runs_path / row.path, store.runs_path / store.checkpoints(parent.id)[0].path
    assert own.read_bytes() == theirs.read_bytes()
    assert own.stat().st_ino != theirs.stat().st_ino
    assert not list(own.parent.glob("*.tmp"))


def test_a_full_disk_leaves_nothing_behind_and_is_told(
    store: RunStore, runs: Path, parent: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StoreError, match=r"can't be written \(No space left on device\); free some space"):
        new_fork_run(store, parent, {})
    assert folders(runs) == {parent.id}
    assert [run.id for run in store.runs()] == [parent.id]


def damage(store: RunStore, run_id: str, step: int) -> None:
    """Flip a bit of a checkpoint's file, which keeps its size."""
    path = next(store.runs_path / row.path for row in store.checkpoints(run_id) if row.step == step)
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)


def test_a_damaged_newest_one_is_passed_over_and_told(store: RunStore, parent: Run) -> None:
    damage(store, parent.id, 35)
    child = store.run(new_fork_run(store, parent, {}))
    assert child.parent_step == 25
    warning = store.events(run_id=child.id)[-1]
    assert (warning.kind, warning.level) == ("checkpoint-fallback", "warning")
    assert warning.message.startswith("the checkpoint of step 35 can't be used, its bytes are not those that were")
    assert steps_on_disk(checkpoint_dir(store.runs_path, child.id)) == [25]


def test_a_damaged_one_that_was_asked_for_is_refused(store: RunStore, runs: Path, parent: Run) -> None:
    damage(store, parent.id, 25)
    with pytest.raises(CheckpointError, match=r"first: the checkpoint of step 25 can't be used.*another --step"):
        new_fork_run(store, parent, {}, step=25)
    assert folders(runs) == {parent.id}


def test_a_manifest_that_was_edited_is_not_believed(store: RunStore, parent: Run) -> None:
    path = checkpoint_dir(store.runs_path, parent.id) / "step-35.json"
    path.write_text(path.read_text().replace('"epoch": 4', '"epoch": 1'))
    assert store.run(new_fork_run(store, parent, {})).parent_step == 25


@pytest.mark.parametrize(
    ("changes", "more", "words"),
    [
        ({"backbone": "resnet50"}, {}, "--backbone: the checkpoint was made with resnet18, and it shapes the weights"),
        ({"optimizer": "sgd"}, {}, "--optimizer: .* give --fresh-optimizer"),
        ({"learning_rate": -1.0}, {}, "--learning-rate: -1.0 is out of bounds"),
        ({"epochs": 3}, {}, "--epochs: the checkpoint of step 35 is in epoch 4 already"),
        ({}, {"step": 7}, "--step: first has no checkpoint of step 7; it has 15, 25, 35"),
    ],
)
def test_what_cannot_be_forked_is_refused_by_name_and_leaves_nothing(
    store: RunStore, runs: Path, parent: Run, changes: dict[str, Any], more: dict[str, Any], words: str
) -> None:
    before = store.events()
    with pytest.raises(ConfigError, match=words):
        new_fork_run(store, parent, changes, **more)
    assert folders(runs) == {parent.id}
    assert [run.id for run in store.runs()] == [parent.id]
    assert store.events() == before


def test_a_finished_run_is_trained_longer_by_a_fork_and_never_for_nothing(store: RunStore) -> None:
    run_id = new_pretrain_run(store, CONFIG, name="done")
    write_checkpoint(store, run_id, 9 * STEPS_PER_EPOCH, reason="final")
    store.lifecycle(run_id, "finished", "finished")
    done = store.run(run_id)
    with pytest.raises(ConfigError, match="is in epoch 9 already, so that 9 leave nothing to train; give more than 9"):
        new_fork_run(store, done, {})
    child = store.run(new_fork_run(store, done, {"epochs": 12}))
    assert (child.total_steps, child.steps_per_epoch, child.step) == (120, 10, None)


def test_a_run_without_a_checkpoint_and_a_job_cannot_be_forked(store: RunStore, runs: Path) -> None:
    run = store.run(new_pretrain_run(store, CONFIG, name="young"))
    with pytest.raises(UsageError, match="young has no checkpoint to fork from"):
        new_fork_run(store, run, {})
    job = store.run(store.create_run(kind="evaluate", name="job", config="{}"))
    with pytest.raises(UsageError, match="trains nothing"):
        new_fork_run(store, job, {})
    assert folders(runs) == {run.id, job.id}


def test_a_fork_of_a_fork_has_the_fork_for_its_parent(store: RunStore, parent: Run) -> None:
    child = store.run(new_fork_run(store, parent, {"temperature": 0.5}, step=15))
    grandchild = store.run(new_fork_run(store, child, {"temperature": 0.9}))
    assert (grandchild.parent_run_id, grandchild.parent_step) == (child.id, 15)
    assert PretrainConfig.from_json(grandchild.config).temperature == 0.9


def test_settings_that_were_edited_in_the_store_are_not_carried_on(store: RunStore, parent: Run) -> None:
    store.update_run(parent.id, config=parent.config.replace('"temperature": 0.07', '"temperature": 0.5'))
    with pytest.raises(UsageError, match=r"made with other settings than first has now \(temperature 0.07 → 0.5\)"):
        new_fork_run(store, store.run(parent.id), {})


def test_later_checkpoints_of_a_child_keep_its_lineage(store: RunStore, runs: Path, parent: Run) -> None:
    child = store.run(new_fork_run(store, parent, {}))
    save(make_keeper(store, runs, child.id), 36)
    manifest = manifest_of(store, child.id, 36)
    assert (manifest["parent_run_id"], manifest["parent_step"]) == (parent.id, 35)


def test_checkpoints_that_are_deleted_while_it_is_forked_are_followed_by_newer_ones(
    store: RunStore, runs: Path, parent: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent goes on: between the look at its folder and the link all that there was is gone."""
    take = fork_module._take
    left = [True]

    def prune_first(*arguments: Any) -> None:
        if left.pop() if left else False:
            for row in store.checkpoints(parent.id):
                (runs / row.path).unlink()
                (checkpoint_dir(runs, parent.id) / f"step-{row.step}.json").unlink()
                store.forget_checkpoint(parent.id, row.step)
            write_checkpoint(store, parent.id, 45)
        take(*arguments)

    monkeypatch.setattr(fork_module, "_take", prune_first)
    assert store.run(new_fork_run(store, parent, {})).parent_step == 45


def test_ended_anywhere_there_is_no_child_without_its_checkpoint(store: RunStore, runs: Path, parent: Run) -> None:
    """The n-th call that touches the child's folder ends the process, for every n."""
    for number in range(1, 60):
        if fork_and_end_at(runs, parent.id, number):
            break
        assert_every_child_is_whole(store, parent)
    assert number > 8, "a fork has so many points to end at"
    assert_every_child_is_whole(store, parent)
    assert len(store.runs()) == 2


def assert_every_child_is_whole(store: RunStore, parent: Run) -> None:
    for run in store.runs():
        if run.id != parent.id:
            (row,) = store.checkpoints(run.id)
            manifest = read_manifest(checkpoint_dir(store.runs_path, run.id) / f"step-{row.step}.json")
            assert fault_of(manifest) is None


def test_a_row_before_its_checkpoint_would_leave_a_child_without_one(store: RunStore, runs: Path, parent: Run) -> None:
    """The negative control: the run is made first, as one is that begins from random weights."""
    run_id = store.create_run(kind="pretrain", name="naive", config=parent.config)
    assert store.run(run_id).lifecycle == "created"
    assert not store.checkpoints(run_id), "ended here, a resume would begin anew without a word"


def fork_and_end_at(runs: Path, parent_id: str, number: int) -> bool:
    """Fork in a process that ends at its n-th call that touches the disk; whether it got to its end."""

    def prepare() -> Callable[[], object]:
        own = RunStore.open(runs)
        return lambda: new_fork_run(own, own.run(parent_id), {"temperature": 0.5})

    def touches(event: str, what: str) -> bool:
        if event in ("os.rename", "os.link", "os.mkdir", "os.remove"):
            return True
        return event == "open" and str(runs) in what and "runs.db" not in what

    return finishes(prepare, number, touches)
