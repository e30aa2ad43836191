"""A store that is removed under a live trainer: it says so and ends, and the run comes back from its checkpoints."""

from pathlib import Path

import pytest

from simclr_tui.__main__ import main as command
from tests.reliability.trainers import UNSCORED, Trainer, newest_run, options, run_to_end, until, weights
from trainer import checkpoint
from trainer.paths import checkpoint_dir, store_file
from trainer.store import RunStore


@pytest.mark.timeout(300)
def test_a_trainer_whose_store_is_removed_says_so_and_the_run_is_rebuilt_and_ends_the_same(
    runs: Path, tmp_path: Path
) -> None:
    longer: dict[str, str | bool] = {**UNSCORED, "epochs": "20"}
    rarely = ("--checkpoint-seconds", "600")
    trainer = Trainer(runs, *options(**longer))
    until(lambda: store_file(runs).exists())
    store = RunStore.open(runs)
    until(lambda: bool(store.runs()))
    run_id = newest_run(runs)
    until(lambda: max(checkpoint.steps_on_disk(checkpoint_dir(runs, run_id)), default=0) >= 10)
    store.close()
    for file in runs.glob("runs.db*"):
        file.unlink()
    assert trainer.wait() == 1, trainer.said()
    assert "was removed, replaced or emptied while it was open" in trainer.said()
    assert "Traceback" not in trainer.said()
    assert command(["--runs-dir", str(runs), "doctor", "--rebuild"]) == 0
    assert Trainer(runs, "--run", run_id, *rarely).wait() == 0
    calm = tmp_path / "calm"
    calm_id = run_to_end(calm, *options(**longer), *rarely)
    first, second = weights(runs, run_id), weights(calm, calm_id)
    assert all(bool((value == second[name]).all()) for name, value in first.items())
