"""A run that was killed goes on bit for bit where it was: every column of `steps` but the times, and the weights.

The negative control is a trainer whose permutations and views come from a generator that is kept, not from
(seed, epoch, index): the same kill must leave other figures.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.same import Placed, differing, differing_in_checkpoint
from tests.reliability.trainers import (
    Trainer,
    interrupt_and_resume,
    newest_payload,
    newest_run,
    options,
    run_to_end,
    scores,
    steps,
    until,
)
from trainer import checkpoint
from trainer.config import PretrainConfig
from trainer.paths import checkpoint_dir
from trainer.store import RunStore, StoreReader

WAYS = {
    "kornia-0": {"augment": "kornia", "num_workers": "0"},
    "torchvision-2": {"augment": "torchvision", "num_workers": "2"},
}
"""Both augmentations, without workers and with them; each other number of them is that of a resume."""


def assert_same(left: Placed, right: Placed) -> None:
    """Two runs have the same figures and the same last checkpoint, bit for bit."""
    assert differing(left, right) == []


@pytest.fixture(scope="module", params=WAYS)
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    """A way of loading, and a run with it that was never stopped."""
    runs = tmp_path_factory.mktemp(request.param) / "runs"
    return request.param, runs, run_to_end(runs, *options(**WAYS[request.param]))


def test_killed_twice_it_ends_as_if_it_never_was(undisturbed: tuple[str, Path, str], tmp_path: Path) -> None:
    way, runs, run_id = undisturbed
    store = RunStore.open(tmp_path / "runs")
    config = RunStore.open(runs).run(run_id).config
    other = store.create_run(kind="pretrain", name="killed", config=config)
    landed = interrupt_and_resume(tmp_path / "runs", other, 2, random.Random(way))
    assert landed >= 1
    assert len(steps(runs, run_id)) == 24
    assert_same((runs, run_id), (tmp_path / "runs", other))
    resumed = [event for event in store.events(run_id=other) if event.kind == "resumed-from"]
    assert len(resumed) == landed
    store.close()


def test_other_workers_after_a_resume_change_nothing(undisturbed: tuple[str, Path, str], tmp_path: Path) -> None:
    way, runs, run_id = undisturbed
    store = RunStore.open(tmp_path / "runs")
    config = RunStore.open(runs).run(run_id).config
    other = store.create_run(kind="pretrain", name="changed", config=config)
    trainer = Trainer(tmp_path / "runs", "--run", other)
    until(lambda: len(checkpoint.steps_on_disk(checkpoint_dir(tmp_path / "runs", other))) >= 2)
    trainer.kill()
    workers = "3" if way.endswith("0") else "0"
    again = Trainer(tmp_path / "runs", "--run", other, "--num-workers", workers)
    assert again.wait() == 0, again.said()
    assert_same((runs, run_id), (tmp_path / "runs", other))
    store.close()


@pytest.mark.parametrize("command", ["pause", "stop"])
def test_paused_or_stopped_it_saves_ends_and_goes_on_exactly(
    undisturbed: tuple[str, Path, str], tmp_path: Path, command: str
) -> None:
    _, runs, run_id = undisturbed
    store = RunStore.open(tmp_path / "runs")
    config = RunStore.open(runs).run(run_id).config.replace('"checkpoint_seconds": 0.0', '"checkpoint_seconds": 600.0')
    other = store.create_run(kind="pretrain", name="paused", config=config)
    trainer = Trainer(tmp_path / "runs", "--run", other)
    until(lambda: store.last_step(other) >= 1)
    store.request(other, command)
    assert trainer.wait() == {"pause": 75, "stop": 0}[command]
    run = store.run(other)
    assert run.lifecycle == {"pause": "paused", "stop": "stopped"}[command]
    reached = store.last_step(other)
    assert checkpoint.steps_on_disk(checkpoint_dir(tmp_path / "runs", other))[0] == reached
    assert Trainer(tmp_path / "runs", "--run", other).wait() == 0
    assert_same((runs, run_id), (tmp_path / "runs", other))
    store.close()


def test_the_newest_checkpoint_damaged_the_one_before_is_used_and_said(
    undisturbed: tuple[str, Path, str], tmp_path: Path
) -> None:
    way, runs, run_id = undisturbed
    if way != "kornia-0":
        pytest.skip("one way is enough")
    store = RunStore.open(tmp_path / "runs")
    config = RunStore.open(runs).run(run_id).config
    other = store.create_run(kind="pretrain", name="damaged", config=config)
    trainer = Trainer(tmp_path / "runs", "--run", other)
    folder = checkpoint_dir(tmp_path / "runs", other)
    until(lambda: len(checkpoint.steps_on_disk(folder)) >= 2)
    trainer.kill()
    newest = checkpoint.steps_on_disk(folder)[0]
    (file,) = folder.glob(f"step-{newest}-*.pt")
    file.write_bytes(b"damaged")
    assert Trainer(tmp_path / "runs", "--run", other).wait() == 0
    kinds = [event.kind for event in store.events(run_id=other)]
    assert "checkpoint-damaged" in kinds
    assert "checkpoint-fallback" in kinds
    assert file.with_name(file.name + ".damaged").exists()
    assert_same((runs, run_id), (tmp_path / "runs", other))
    store.close()


def test_replayed_steps_are_compared_and_found_identical(undisturbed: tuple[str, Path, str], tmp_path: Path) -> None:
    way, runs, run_id = undisturbed
    if way != "kornia-0":
        pytest.skip("one way is enough")
    store = RunStore.open(tmp_path / "runs")
    config = RunStore.open(runs).run(run_id).config.replace('"checkpoint_seconds": 0.0', '"checkpoint_seconds": 600.0')
    other = store.create_run(kind="pretrain", name="replayed", config=config)
    trainer = Trainer(tmp_path / "runs", "--run", other)
    until(lambda: store.last_step(other) >= 1)
    trainer.kill()
    assert Trainer(tmp_path / "runs", "--run", other).wait() == 0
    replays = [event.message for event in store.events(run_id=other) if event.kind == "replay"]
    count = replays[0].split()[1]
    assert replays == [f"replay {count} of {count} identical"]
    assert_same((runs, run_id), (tmp_path / "runs", other))
    store.close()


CLASSIFIER = "cross-entropy, SGD, clipped, milestones"
RECIPES: dict[str, dict[str, str | bool]] = {
    "supcon, held out, LARS, averaged": {
        "method": "supcon",
        "hold_out": "0.2",
        "optimizer": "lars",
        "learning_rate": "0.3",
        "decay_norm_and_bias": False,
        "ema_decay": "0.9",
    },
    CLASSIFIER: {
        "method": "cross-entropy",
        "optimizer": "sgd",
        "learning_rate": "0.05",
        "clip_grad_norm": "0.5",
        "milestones": "1,2",
        "augment": "torchvision",
        "num_workers": "2",
    },
    "three views, warm-up, batch norm in the head": {
        "views": "3",
        "warmup_epochs": "1.5",
        "schedule": "step",
        "head_batch_norm": True,
    },
    "bfloat16": {"precision": "bfloat16", "optimizer": "adamw"},
}


def each_recipe() -> list[Any]:
    """All of them; the two that the counted proof kills too are left to it by default."""
    counted = ("bfloat16", CLASSIFIER)
    return [pytest.param(name, marks=pytest.mark.reliability if name in counted else ()) for name in RECIPES]


@pytest.mark.parametrize("recipe", each_recipe())
def test_every_recipe_goes_on_exactly_after_a_kill(tmp_path: Path, recipe: str) -> None:
    """Steps, scores, embeddings' figures, and all that a checkpoint holds: weights, their average, the optimiser."""
    runs = tmp_path / "runs"
    calm = run_to_end(runs, *options(name="calm", **RECIPES[recipe]))
    store = RunStore.open(runs)
    config = PretrainConfig.from_json(store.run(calm).config)
    other = store.create_run(kind=config.kind, name="killed", config=config.to_json())
    assert interrupt_and_resume(runs, other, 2, random.Random(recipe)) >= 1
    assert store.run(calm).kind == store.run(other).kind
    assert len(steps(runs, calm)) == {"supcon": 18, "cross-entropy": 21, "simclr": 24}[config.method]
    assert all(None not in row for row in scores(runs, calm))
    assert ("ema" in newest_payload(runs, calm)) == bool(config.ema_decay)
    assert differing((runs, calm), (runs, other)) == []
    store.close()


def test_an_average_that_begins_anew_would_fail(tmp_path: Path) -> None:
    """The negative control: every step is the same, the average that is scored is not."""
    runs = tmp_path / "runs"
    calm = run_to_end(runs, *options(name="calm", ema_decay="0.9"))
    store = RunStore.open(runs)
    other = store.create_run(kind="pretrain", name="killed", config=store.run(calm).config)
    trainer = Trainer(runs, "--run", other)
    until(lambda: max(checkpoint.steps_on_disk(checkpoint_dir(runs, other)), default=0) >= 10)
    trainer.kill()
    assert Trainer(runs, "--run", other, control="ema-lost").wait() == 0
    assert steps(runs, calm) == steps(runs, other)
    wrong = differing_in_checkpoint((runs, calm), (runs, other))
    assert wrong
    assert all(name.startswith("/ema/") for name in wrong)
    store.close()


def test_randomness_that_is_state_would_fail(tmp_path: Path) -> None:
    """The negative control: here trainers draw from one generator that runs on."""
    runs = tmp_path / "runs"
    calm = run_to_end(runs, *options(name="calm"), control="unkeyed")
    store = RunStore.open(runs)
    other = store.create_run(kind="pretrain", name="killed", config=store.run(calm).config)
    trainer = Trainer(runs, "--run", other, control="unkeyed")
    # In the second epoch: the first one's draws are the same, being the first of a new generator too.
    until(lambda: max(checkpoint.steps_on_disk(checkpoint_dir(runs, other)), default=0) >= 10)
    trainer.kill()
    assert Trainer(runs, "--run", other, control="unkeyed").wait() == 0
    assert len(steps(runs, other)) == len(steps(runs, calm)) == 24
    wrong = differing((runs, calm), (runs, other))
    assert any(name.startswith("steps: ") for name in wrong)
    assert any(name.startswith("/model/") for name in wrong)
    store.close()


def test_a_run_is_seen_as_interrupted_at_once_when_its_trainer_is_killed(tmp_path: Path) -> None:
    from trainer.state import run_state

    runs = tmp_path / "runs"
    trainer = Trainer(runs, *options(epochs="500"))
    until(lambda: (runs / "runs.db").exists() and bool(newest_run_or_none(runs)))
    reader = StoreReader.open(runs)
    run_id = newest_run(runs)
    until(lambda: run_state(reader.run(run_id), runs) == "running")
    trainer.kill()
    until(lambda: run_state(reader.run(run_id), runs) == "interrupted", seconds=3)
    reader.close()


def newest_run_or_none(runs: Path) -> str | None:
    """The id of the newest run, if there is one yet."""
    try:
        return newest_run(runs)
    except Exception:  # the store is being made
        return None
