"""A loss that is not finite ends the run, and never reaches a checkpoint."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.reliability.trainers import Trainer, newest_run, options, until, weights
from trainer import checkpoint
from trainer.paths import checkpoint_dir
from trainer.store import RunStore


def test_a_run_that_explodes_fails_with_its_step_and_keeps_sound_weights(runs: Path) -> None:
    line = options(optimizer="sgd", learning_rate="100", weight_decay="1", schedule="step", checkpoint_seconds="0")
    trainer = Trainer(runs, *line, "--no-drop-last", "--momentum", "0.99", "--epochs", "40")
    code = trainer.wait()
    store = RunStore.open(runs)
    run_id = newest_run(runs)
    assert code == 1, trainer.said()
    assert store.run(run_id).lifecycle == "failed"
    (event,) = [event for event in store.events(run_id=run_id) if event.kind == "non-finite"]
    assert f"at step {event.step} (epoch {run_epoch(store, run_id)}, batch " in event.message
    assert f"show {run_id} --replay {event.step}" in event.message
    listed = json.loads((runs / run_id / f"nonfinite-step-{event.step}.json").read_text())
    assert f"its {len(listed['images'])} images are listed in " in event.message
    assert sorted(listed["images"]) != listed["images"]
    assert set(listed["images"]) <= set(range(80))
    assert listed["learning_rate"] == store.steps(run_id)[-1]["lr"]
    row = store.steps(run_id)[-1]
    assert row["step"] == event.step
    assert None in (row["loss"], row["grad_norm"])
    assert "Traceback" not in trainer.said()
    if store.checkpoints(run_id):
        assert store.checkpoints(run_id)[0].step < (event.step or 0)
        assert all(torch.isfinite(value.float()).all() for value in weights(runs, run_id).values())
    store.close()


def run_epoch(store: RunStore, run_id: str) -> int:
    """The epoch of the last step."""
    return int(store.steps(run_id)[-1]["epoch"])


@pytest.mark.reliability
def test_a_step_is_replayed_while_the_run_goes_on(runs: Path) -> None:
    """By the command that a person types; it takes no lock and stores nothing."""
    trainer = Trainer(runs, *options(epochs="500", knn_every="0", validate_every="0", health_every="0"))
    until(lambda: (runs / "runs.db").exists())
    store = RunStore.open(runs)
    until(lambda: bool(store.runs()) and store.last_step(newest_run(runs)) >= 30)
    run_id = newest_run(runs)
    step = store.last_step(run_id)
    store.pin_checkpoint(run_id, checkpoint.steps_on_disk(checkpoint_dir(runs, run_id))[-1])
    command = [sys.executable, "-m", "simclr_tui", "show", run_id, "--replay", str(step), "--json"]
    done = subprocess.run([*command, "--runs-dir", runs], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["step"] == step
    assert all(figure["identical"] for figure in document["figures"].values()), document["figures"]
    assert trainer.process.is_alive()
    trainer.kill()
    store.close()
