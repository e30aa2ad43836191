"""A loss that is not finite ends the run, and never reaches a checkpoint."""

from pathlib import Path

import torch

from tests.reliability.trainers import Trainer, newest_run, options, weights
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
    assert f"at step {event.step}" in event.message
    row = store.steps(run_id)[-1]
    assert row["step"] == event.step
    assert None in (row["loss"], row["grad_norm"])
    assert "Traceback" not in trainer.said()
    if store.checkpoints(run_id):
        assert store.checkpoints(run_id)[0].step < (event.step or 0)
        assert all(torch.isfinite(value.float()).all() for value in weights(runs, run_id).values())
    store.close()
