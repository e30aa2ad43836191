"""The counted proof: kill -9 at every kind of moment, and the run ends with the bits of one that was left alone.

Random instants come from a printed seed (`KILL_SEED=7` repeats one, as far as a scheduler repeats anything). The
negative controls use the same plan and the same comparison, and fail it.
"""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.killing import Kill, most_in_one_epoch, torment
from tests.reliability.same import differing
from tests.reliability.trainers import Trainer, newest_run, options, run_to_end, steps, until
from trainer.store import RunStore

SEED = int(os.environ.get("KILL_SEED", "0"))

Recipe = dict[str, str | bool]
EPOCHS_OF_TWO: Recipe = {"batch_size": "40", "epochs": "10"}
EPOCHS_OF_FIVE: Recipe = {"batch_size": "16", "epochs": "5", "keep_every_epochs": "2", "keep_checkpoints": "2"}
BETWEEN: Recipe = {"checkpoint_seconds": "0.4"}
"""Checkpoints that lie steps apart, so that every kill leaves something to replay."""

RECIPES: dict[str, tuple[Recipe, list[str]]] = {
    "kornia, no workers": ({"augment": "kornia"}, []),
    "kornia, two workers": ({"augment": "kornia", "num_workers": "2"}, []),
    "kornia, other workers each life": ({"persistent_workers": False, **EPOCHS_OF_FIVE}, ["2", "0", "1", "3"]),
    "kornia, read when needed": ({"cache": "none", "num_workers": "2", "optimizer": "sgd"}, []),
    "kornia, resident": ({"cache": "vram", "ema_decay": "0.9", **EPOCHS_OF_TWO}, []),
    "torchvision, no workers": ({"augment": "torchvision", "clip_grad_norm": "0.5"}, []),
    "torchvision, two workers": ({"augment": "torchvision", "num_workers": "2", "prefetch_factor": "4"}, []),
    "torchvision, other workers each life": ({"augment": "torchvision", **EPOCHS_OF_FIVE}, ["0", "2", "3"]),
    "bfloat16": ({"precision": "bfloat16", "head_batch_norm": True}, []),
    "bfloat16, torchvision, averaged, other workers": (
        {"precision": "bfloat16", "augment": "torchvision", "ema_decay": "0.9"},
        ["2", "0"],
    ),
    "SGD, averaged, short last batch": ({"optimizer": "sgd", "ema_decay": "0.8", "drop_last": False}, []),
    "SupCon, LARS": (
        {"method": "supcon", "optimizer": "lars", "learning_rate": "0.3", "hold_out": "0.2", "epochs": "4"},
        [],
    ),
    "SupCon, averaged, torchvision, other workers": (
        {"method": "supcon", "ema_decay": "0.9", "augment": "torchvision", "epochs": "4"},
        ["2", "0"],
    ),
    "cross-entropy, SGD, milestones": (
        {"method": "cross-entropy", "optimizer": "sgd", "learning_rate": "0.05", "milestones": "1,2", "epochs": "4"},
        [],
    ),
    "replays": ({**BETWEEN, "epochs": "6"}, []),
    "replays, two workers, LARS": ({**BETWEEN, "optimizer": "lars", "num_workers": "2", "epochs": "6"}, []),
    "replays, torchvision, other workers": ({**BETWEEN, "augment": "torchvision", "epochs": "6"}, ["2", "0", "1"]),
}
"""Settings, and the numbers of workers of the lives where they change."""

PLANS = (
    ["progress", "starting", "resumed", "later", "saving"],
    ["progress", "resumed", "later", "starting", "resumed"],
    ["saving", "starting", "resumed", "later", "progress"],
)
WANTED = 4
"""Kills of each recipe: 4 × 17 recipes are 68."""


def prove(folder: Path, name: str, *, kills: int, seed: int) -> int:
    """Kill runs of a recipe so often that all kills are done, and hold each against one that was left alone.

    Returns:
        How many replays were told of.
    """
    recipe, workers = RECIPES[name]
    draw = random.Random(f"{seed} {name}")
    print(f"KILL_SEED={seed}, {name}")
    runs = folder / "runs"
    calm = run_to_end(runs, *options(name="calm", **recipe))
    store = RunStore.open(runs)
    config = store.run(calm)
    per_epoch = store.run(calm).steps_per_epoch or 1
    done: list[Kill] = []
    crowded = replays = 0
    while len(done) < kills or (per_epoch >= 8 and crowded < 3):
        victim = store.create_run(kind=config.kind, name="killed", config=config.config)
        hit = torment(runs, victim, draw.choice(PLANS), draw, workers)
        assert differing((runs, calm), (runs, victim)) == []
        replays += check_replays(store, victim)
        done += hit
        crowded = max(crowded, most_in_one_epoch(hit, per_epoch))
    store.close()
    print(f"{len(done)} kills, at most {crowded} in one epoch: {done}")
    return replays


def replays_of(store: RunStore, run_id: str) -> list[tuple[str, str]]:
    """What was said of the run's replays."""
    return [(event.level, event.message) for event in store.events(run_id=run_id) if event.kind == "replay"]


def check_replays(store: RunStore, run_id: str) -> int:
    """Every replay that is told of was identical, and no row is missing or there twice; how many were told of."""
    assert store.run(run_id).exactness == "promised"
    said = replays_of(store, run_id)
    for _, message in said:
        assert re.fullmatch(r"replay (\d+) of \1 identical", message), message
    numbers = [row["step"] for row in store.steps(run_id)]
    assert numbers == list(range(1, (store.run(run_id).total_steps or 0) + 1))
    return len(said)


@pytest.mark.reliability
@pytest.mark.timeout(300)
@pytest.mark.parametrize("recipe", RECIPES)
def test_sixty_kills_leave_the_bits_of_a_run_that_was_left_alone(tmp_path: Path, recipe: str) -> None:
    replays = prove(tmp_path, recipe, kills=WANTED, seed=SEED)
    assert replays or not recipe.startswith("replays")


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_the_same_kills_leave_other_bits_where_randomness_is_state(tmp_path: Path) -> None:
    """The negative control: the same plan and comparison, with draws from one generator that runs on."""
    runs = tmp_path / "runs"
    calm = run_to_end(runs, *options(name="calm"), control="unkeyed")
    store = RunStore.open(runs)
    victim = store.create_run(kind="pretrain", name="killed", config=store.run(calm).config)
    # Past the first epoch, whose draws are the first of a new generator too.
    torment(runs, victim, ["later"] * 4, random.Random(SEED), [], control="unkeyed")
    wrong = differing((runs, calm), (runs, victim))
    assert any(name.startswith("steps: ") for name in wrong)
    assert any(name.startswith("/model/") for name in wrong)
    store.close()


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("recipe", RECIPES)
def test_five_hundred_kills_leave_the_bits_of_a_run_that_was_left_alone(tmp_path: Path, recipe: str) -> None:
    prove(tmp_path, recipe, kills=30, seed=SEED + 1)


def interrupted_in_its_second_epoch(runs: Path, *, beyond: int = 1, epochs: str = "4", control: str = "") -> str:
    """A run of 16 steps an epoch with one checkpoint after step 16 or later, rows beyond it, and no live trainer."""
    line = options(batch_size="5", checkpoint_seconds="600", knn_every="0", validate_every="0", epochs=epochs)
    trainer = Trainer(runs, *line, control=control)
    until(lambda: (runs / "runs.db").exists())
    store = RunStore.open(runs)
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 16)
    run_id = newest_run(runs)
    store.request(run_id, "save")
    until(lambda: bool(store.checkpoints(run_id)))
    until(lambda: store.last_step(run_id) >= store.checkpoints(run_id)[0].step + beyond)
    trainer.kill()
    assert store.run(run_id).lifecycle == "started", trainer.said()
    store.close()
    return run_id


def test_a_replay_with_other_draws_is_called_different_from_its_first_step(runs: Path) -> None:
    """The negative control in production: a trainer whose generator begins anew is found out by the replay."""
    run_id = interrupted_in_its_second_epoch(runs, control="unkeyed")
    store = RunStore.open(runs)
    saved = store.checkpoints(run_id)[0].step
    rows = steps(runs, run_id)
    assert Trainer(runs, "--run", run_id, control="unkeyed").wait() == 0
    (level, message), *_ = replays_of(store, run_id)
    assert level == "warning"
    assert message.startswith(f"replay differs from step {saved + 1} on: loss was")
    assert "nothing that bits depend on" in message
    assert steps(runs, run_id)[: len(rows)] == rows
    store.close()


def test_a_run_resumed_with_another_instruction_set_is_not_promised_goes_on_and_its_replay_is_close(
    runs: Path,
) -> None:
    import torch

    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("this CPU has no other instruction set to fall back to")
    # One step's loss is at times the same to the last bit; that of eight is not.
    run_id = interrupted_in_its_second_epoch(runs, beyond=8)
    store = RunStore.open(runs)
    saved, reached = store.checkpoints(run_id)[0].step, store.last_step(run_id)
    rows = steps(runs, run_id)
    assert store.run(run_id).exactness == "promised"
    other = os.environ | {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "trainer.run", "--headless", "--runs-dir", str(runs), "--run", run_id]
    done = subprocess.run(command, env=other, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    exactness = store.run(run_id).exactness or ""
    assert exactness.startswith(f"not promised: from step {saved + 1} on ONEDNN_MAX_CPU_ISA none → SSE41, instruction ")
    assert exactness.endswith("→ DEFAULT")
    ((level, message),) = replays_of(store, run_id)
    assert level == "info"
    count = reached - saved
    assert re.match(rf"replay {count} of {count} close \(largest difference \S+ %\); bits are not promised: ", message)
    assert steps(runs, run_id)[: len(rows)] == rows
    assert len(steps(runs, run_id)) == 64
    store.close()


def test_a_pause_in_the_middle_of_a_replay_claims_no_more_than_was_compared(runs: Path) -> None:
    run_id = interrupted_in_its_second_epoch(runs, beyond=48, epochs="20")
    store = RunStore.open(runs)
    saved, reached = store.checkpoints(run_id)[0].step, store.last_step(run_id)
    rows = steps(runs, run_id)
    trainer = Trainer(runs, "--run", run_id)
    until(lambda: store.run(run_id).pid == trainer.pid and saved < (store.run(run_id).step or 0) < reached)
    store.request(run_id, "pause")
    assert trainer.wait() == 75, trainer.said()
    compared = store.checkpoints(run_id)[0].step - saved
    length = reached - saved
    rest = " so far, the run ended before the rest" if compared < length else ""
    assert replays_of(store, run_id) == [("info", f"replay {min(compared, length)} of {length} identical{rest}")]
    assert steps(runs, run_id)[: len(rows)] == rows
    store.close()
