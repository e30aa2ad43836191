"""A run remembers where it is mirrored to, and a child of it does not."""

from pathlib import Path

import pytest

from tests.trainer.export.filled import filled_run
from trainer.errors import UsageError
from trainer.evaluate_config import EvaluateConfig
from trainer.fork import new_fork_run
from trainer.mirror.wanted import want, wanted
from trainer.paths import mirrors_dir
from trainer.start import new_evaluate_run
from trainer.store import RunStore


def test_it_is_remembered_until_it_is_told_otherwise(store: RunStore, runs: Path) -> None:
    run = store.run(filled_run(store))
    assert wanted(runs, run.id) == ()
    want(store, run, ())
    assert not mirrors_dir(runs, run.id).exists()
    want(store, run, ("wandb", "tensorboard"))
    assert wanted(runs, run.id) == ("tensorboard", "wandb")
    want(store, run, ())
    assert wanted(runs, run.id) == ()


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b"3", b'["rm -rf", 7, null]', b"[" * 9000, b"\xff"])
def test_a_file_that_a_hand_has_broken_mirrors_nothing(store: RunStore, runs: Path, content: bytes) -> None:
    run = store.run(filled_run(store))
    want(store, run, ("wandb",))
    (mirrors_dir(runs, run.id) / "wanted.json").write_bytes(content)
    assert wanted(runs, run.id) == ()


def test_a_fork_is_mirrored_nowhere_and_a_job_never(store: RunStore, runs: Path) -> None:
    run = store.run(filled_run(store))
    want(store, run, ("wandb",))
    assert wanted(runs, new_fork_run(store, run, {})) == ()
    job = store.run(new_evaluate_run(store, run, EvaluateConfig(run=run.id)))
    with pytest.raises(UsageError, match="is of kind evaluate, which has no curves"):
        want(store, job, ("wandb",))
