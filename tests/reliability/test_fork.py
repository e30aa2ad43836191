"""A fork goes on bit for bit where its parent was, or as a run by hand with the new settings does.

Negative controls: randomness that is kept and not keyed, settings of the optimiser that come back with its state, and a
child whose steps are counted anew while the checkpoint that it began from still looks newer.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.reliability.test_resume import assert_same
from tests.reliability.trainers import (
    Trainer,
    newest_payload,
    newest_run,
    options,
    run_to_end,
    scores,
    steps,
    until,
    weights,
)
from trainer import checkpoint
from trainer.config import PretrainConfig
from trainer.data import load
from trainer.device import Machine, prepare
from trainer.drift import change_settings
from trainer.fork import new_fork_run
from trainer.loader import ViewLoader
from trainer.paths import checkpoint_dir
from trainer.schedule import learning_rate
from trainer.step import new_state, train_step
from trainer.store import RunStore

MIDDLE = 12
"""A step in the middle of the second epoch of eight steps."""


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished run that kept the checkpoint of every step."""
    runs = tmp_path_factory.mktemp("parent") / "runs"
    return runs, run_to_end(runs, *options(keep_checkpoints="1000"))


def fork(runs: Path, run_id: str, changes: dict[str, Any], **more: Any) -> str:
    """A child, made as the dashboard and the command make it."""
    store = RunStore.open(runs)
    child = new_fork_run(store, store.run(run_id), changes, **more)
    store.close()
    return child


def finish(runs: Path, run_id: str, *arguments: str, control: str = "") -> None:
    trainer = Trainer(runs, "--run", run_id, *arguments, control=control)
    assert trainer.wait() == 0, trainer.said()


def after(rows: list[tuple[Any, ...]], step: int) -> list[tuple[Any, ...]]:
    return [row for row in rows if row[0] > step]


def test_a_fork_without_a_change_is_the_rest_of_its_parent_bit_for_bit(parent: tuple[Path, str]) -> None:
    runs, run_id = parent
    child = fork(runs, run_id, {"num_workers": 2}, step=MIDDLE)
    finish(runs, child)
    assert len(steps(runs, child)) == 24 - MIDDLE
    assert steps(runs, child) == after(steps(runs, run_id), MIDDLE)
    # The mean over the steps of the epoch in which it began is one of those that the child took.
    assert [row[2:] for row in scores(runs, child)] == [row[2:] for row in scores(runs, run_id) if row[0] > 1]
    ours, theirs = weights(runs, child), weights(runs, run_id)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.reliability
@pytest.mark.parametrize("step", [1, 7, 8, 9, 15, 16, 17, 23])
def test_forked_at_either_side_of_every_epochs_end_it_is_the_rest_of_its_parent(
    parent: tuple[Path, str], step: int
) -> None:
    runs, run_id = parent
    child = fork(runs, run_id, {}, step=step)
    finish(runs, child)
    assert steps(runs, child) == after(steps(runs, run_id), step)
    ours, theirs = weights(runs, child), weights(runs, run_id)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_with_randomness_that_is_kept_the_same_fork_is_another_run(parent: tuple[Path, str]) -> None:
    """The negative control."""
    runs, run_id = parent
    child = fork(runs, run_id, {}, step=MIDDLE)
    finish(runs, child, control="unkeyed")
    assert steps(runs, child) != after(steps(runs, run_id), MIDDLE)


def by_hand(runs: Path, run_id: str, step: int, config: PretrainConfig, *, naive: bool = False) -> list[float]:
    """The losses of a plain loop that takes a checkpoint's weights and goes on with other settings.

    Args:
        runs: the runs folder.
        run_id: the run of the checkpoint.
        step: the checkpoint's.
        config: the settings that it goes on with.
        naive: let the optimiser's state bring back the settings that it was made with.
    """
    machine: Machine = prepare(device="cpu", threads=1)
    dataset = load(config, lambda *_: None)
    loader = ViewLoader(dataset.pretrain.images, config, machine, workers=0)
    state = new_state(config, machine, classes=len(dataset.pretrain.classes), data=dataset.fingerprint)
    payload, _ = checkpoint.load(checkpoint_dir(runs, run_id), step, lambda _: True)
    state.model.load_state_dict(payload["model"])
    own = [group["weight_decay"] for group in state.optimizer.param_groups]
    state.optimizer.load_state_dict(payload["optimizer"])
    for group, decay in zip(state.optimizer.param_groups, own, strict=True):
        group["weight_decay"] = group["weight_decay"] if naive else decay
    state.step = step
    losses = []
    for epoch in range(step // 8 + 1, config.epochs + 1):
        for batch in loader.epoch(epoch, first_batch=state.step - (epoch - 1) * 8):
            lr = learning_rate(state.step + 1, 8, config)
            losses.append(train_step(state, loader.views(batch), lr, config, machine)[0].item())
            state.step += 1
    return losses


def test_a_fork_with_other_settings_is_what_a_run_by_hand_with_them_gives(parent: tuple[Path, str]) -> None:
    runs, run_id = parent
    changes = {"epochs": 4, "learning_rate": 3e-3, "weight_decay": 0.3, "temperature": 0.2}
    child = fork(runs, run_id, changes, step=MIDDLE)
    finish(runs, child)
    store = RunStore.open(runs)
    config = PretrainConfig.from_json(store.run(child).config)
    store.close()
    losses = [row[2] for row in steps(runs, child)]
    assert len(losses) == 32 - MIDDLE
    assert losses == by_hand(runs, run_id, MIDDLE, config)
    assert losses != by_hand(runs, run_id, MIDDLE, config, naive=True), "the negative control: the old decay"


def test_a_finished_run_is_trained_longer_from_its_last_step(parent: tuple[Path, str]) -> None:
    runs, run_id = parent
    child = fork(runs, run_id, {"epochs": 5})
    finish(runs, child)
    assert [row[0] for row in steps(runs, child)] == list(range(25, 41))
    assert [row[0] for row in scores(runs, child)] == [4, 5]


@pytest.fixture(scope="module")
def doubled(parent: tuple[Path, str]) -> str:
    """A child with twice the batch, so half the steps an epoch, that was never stopped."""
    runs, run_id = parent
    child = fork(runs, run_id, {"batch_size": 20, "epochs": 6}, step=20)
    finish(runs, child)
    return child


def test_a_fork_with_other_steps_an_epoch_begins_at_an_epoch_and_says_so(
    parent: tuple[Path, str], doubled: str
) -> None:
    runs, _ = parent
    assert [row[:2] for row in steps(runs, doubled)] == [(step, (step - 1) // 4 + 1) for step in range(9, 25)]
    store = RunStore.open(runs)
    (event,) = [event for event in store.events(run_id=doubled) if event.kind == "forked-from"]
    store.close()
    assert event.step == 8
    assert "an epoch has 4 steps instead of 8, so it goes on at the start of epoch 3, as step 9" in event.message


@pytest.mark.reliability
@pytest.mark.parametrize("control", ["", "fork-kept"])
def test_killed_it_goes_on_from_its_own_newest_checkpoint(parent: tuple[Path, str], doubled: str, control: str) -> None:
    """The control keeps the checkpoint of the parent's step 20, which looks newer than any of the child's first."""
    runs, run_id = parent
    child = fork(runs, run_id, {"batch_size": 20, "epochs": 6}, step=20)
    trainer = Trainer(runs, "--run", child, control=control)
    folder = checkpoint_dir(runs, child)
    until(lambda: bool({10, 11, 12, 13} & set(checkpoint.steps_on_disk(folder))))
    trainer.kill()
    finish(runs, child, control=control)
    store = RunStore.open(runs)
    resumed = [event.step for event in store.events(run_id=child) if event.kind == "resumed-from"]
    store.close()
    if control:
        assert resumed == [8], "all that the child had learnt is taken again"
        return
    assert resumed[0] is not None
    assert resumed[0] >= 10
    assert_same((runs, doubled), (runs, child))


@pytest.mark.reliability
def test_a_live_run_is_forked_and_goes_on_to_the_same_end(parent: tuple[Path, str], tmp_path: Path) -> None:
    undisturbed, run_id = parent
    runs = tmp_path / "runs"
    trainer = Trainer(runs, *options(keep_checkpoints="2"))
    until(lambda: (runs / "runs.db").exists() and has_checkpoint(runs))
    live = newest_run(runs)
    child = fork(runs, live, {})
    assert trainer.wait() == 0, trainer.said()
    finish(runs, child)
    began = newest_step_of_fork(runs, child)
    assert steps(runs, live) == steps(undisturbed, run_id)
    assert steps(runs, child) == after(steps(undisturbed, run_id), began)


def has_checkpoint(runs: Path) -> bool:
    store = RunStore.open(runs)
    try:
        return any(store.checkpoints(run.id) for run in store.runs())
    finally:
        store.close()


def newest_step_of_fork(runs: Path, child: str) -> int:
    store = RunStore.open(runs)
    step = store.run(child).parent_step
    store.close()
    assert step is not None
    return step


def test_an_accepted_change_is_a_fork_in_place(parent: tuple[Path, str], tmp_path: Path) -> None:
    """A paused run that goes on with another learning rate takes the steps that a fork from there takes."""
    runs = tmp_path / "runs"
    trainer = Trainer(runs, *options(keep_checkpoints="1000"))
    until(lambda: (runs / "runs.db").exists() and has_checkpoint(runs))
    run_id = newest_run(runs)
    store = RunStore.open(runs)
    store.request(run_id, "pause")
    assert trainer.wait() == 75
    paused_at = store.last_step(run_id)
    child = fork(runs, run_id, {"learning_rate": 3e-3})
    refused = Trainer(runs, "--run", run_id, "--learning-rate", "3e-3")
    assert refused.wait() == 2
    assert "--accept learning_rate --learning-rate 0.003" in refused.said()
    finish(runs, run_id, "--accept", "learning_rate", "--learning-rate", "3e-3")
    finish(runs, child)
    assert after(steps(runs, run_id), paused_at) == steps(runs, child)
    assert (store.run(run_id).exactness or "").endswith("learning_rate 0.001 → 0.003")
    assert (store.run(child).exactness or "") == "promised"
    store.close()
    ours, theirs = newest_payload(runs, run_id)["model"], newest_payload(runs, child)["model"]
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_settings_edited_in_the_store_stop_a_trainer_by_name(parent: tuple[Path, str]) -> None:
    runs, run_id = parent
    child = fork(runs, run_id, {"epochs": 4})
    store = RunStore.open(runs)
    edited = store.run(child).config.replace('"temperature": 0.07', '"temperature": 0.08')
    store.update_run(child, config=edited)
    trainer = Trainer(runs, "--run", child, log=runs.with_name("edited.log"))
    assert trainer.wait() == 2
    assert "temperature 0.07 instead of 0.08" in trainer.said()
    assert steps(runs, child) == []
    store.close()


def test_a_fork_whose_checkpoint_is_gone_does_not_begin_from_random_weights(parent: tuple[Path, str]) -> None:
    runs, run_id = parent
    child = fork(runs, run_id, {"epochs": 4})
    for path in checkpoint_dir(runs, child).iterdir():
        path.unlink()
    trainer = Trainer(runs, "--run", child, log=runs.with_name("gone.log"))
    assert trainer.wait() == 1
    assert "is a fork of run" in trainer.said()
    assert steps(runs, child) == []


@pytest.mark.reliability
def test_a_change_is_made_once_for_all_its_checkpoints(parent: tuple[Path, str]) -> None:
    """Also an older checkpoint goes on with accepted settings, where the newest is damaged after the change."""
    runs, run_id = parent
    child = fork(runs, run_id, {"epochs": 4}, step=MIDDLE)
    trainer = Trainer(runs, "--run", child)
    store = RunStore.open(runs)
    until(lambda: store.last_step(child) > MIDDLE + 1 and len(store.checkpoints(child)) > 2)
    store.request(child, "pause")
    assert trainer.wait() == 75
    change_settings(store, store.run(child), {"temperature": 0.2}, ["temperature"])
    newest = store.checkpoints(child)[0]
    (runs / newest.path).write_bytes(b"damaged")
    finish(runs, child)
    kinds = [event.kind for event in store.events(run_id=child)]
    assert "checkpoint-damaged" in kinds
    assert store.run(child).lifecycle == "finished"
    store.close()
