"""A process that runs out of memory says so with the peak, the limit and a batch that fits, which then does."""

import re
from pathlib import Path

import pytest

from tests.reliability.trainers import Trainer, newest_run, options
from trainer.store import RunStore

LARGE = {"image_size": "64", "batch_size": "80", "epochs": "2", "knn_every": "0", "validate_every": "0"}


@pytest.mark.reliability
@pytest.mark.timeout(300)
def test_too_little_memory_is_told_with_peak_limit_and_a_batch_that_then_fits(runs: Path, store: RunStore) -> None:
    trainer = Trainer(runs, *options(**LARGE, health_every="0"), control="little-memory")
    assert trainer.wait() == 1, trainer.said()
    run = store.run(newest_run(runs))
    assert run.lifecycle == "failed"
    assert "Traceback" not in trainer.said()
    message = store.events(run_id=run.id)[-1].message
    found = re.fullmatch(
        r"--batch-size: a step of 80 images with 2 views each needs more memory than there is \(peak [\d.]+ \wiB of "
        r"the [\d.]+ \wiB of this process \(ulimit -v\)\); about (\d+) images would fit, by an estimate; launch a "
        r"run with a smaller one, as this one's is never changed by itself",
        message,
    )
    assert found, message
    assert store.run(run.id).batch_size == 80
    smaller = LARGE | {"batch_size": found[1]}
    again = Trainer(runs, *options(**smaller, health_every="0"), control="little-memory")
    assert again.wait() == 0, again.said()
    third = Trainer(runs, *options(**LARGE, health_every="0"), control="little-memory")
    assert third.wait() == 1
    message = store.events(run_id=newest_run(runs))[-1].message
    assert f"{found[1]} images fit, as " in message
