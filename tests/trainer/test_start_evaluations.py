"""Two evaluations that would make the same figures don't go on at once."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.test_process import RUN as JOB
from tests.trainer.test_process import holder as hold
from trainer.config import PretrainConfig
from trainer.errors import BusyError, ConfigError, ExitCode, UsageError
from trainer.evaluate_config import EvaluateConfig
from trainer.process import identity
from trainer.run import main
from trainer.start import new_evaluate_run, new_pretrain_run, only_evaluation, start_run
from trainer.store import Run, RunStore


@pytest.fixture
def source(store: RunStore) -> Run:
    """A run with checkpoints of two steps."""
    return add_source(store, "a")


@pytest.fixture
def live_job(store: RunStore, runs: Path, source: Run) -> Iterator[str]:
    """A job that looks at the layers of the newest checkpoint, whose lock another process holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.store.runs.new_run_id", lambda: JOB)
        new_evaluate_run(store, source, EvaluateConfig())
    store.lifecycle(JOB, "started", "started", **identity().columns())
    with hold(runs):
        yield JOB


def add_source(store: RunStore, name: str) -> Run:
    """A run with checkpoints of steps 10 and 20; the files are not there."""
    run_id = new_pretrain_run(store, PretrainConfig(), name=name)
    for step in (10, 20):
        put_checkpoint(store, run_id, step)
    return store.run(run_id)


def put_checkpoint(store: RunStore, run_id: str, step: int) -> None:
    """The row of a checkpoint."""
    row = {"run_id": run_id, "step": step, "epoch": 1, "path": f"step-{step}.pt", "bytes": 1, "sha256": "0" * 64}
    store.put_checkpoint(row | {"reason": "end", "knn_top1": None, "seconds": 0.1})


def refusal(store: RunStore, source: Run, **settings: Any) -> str:
    """The sentence with which a second evaluation is refused, which leaves no run behind."""
    before = len(store.runs())
    with pytest.raises(UsageError) as caught:
        new_evaluate_run(store, source, EvaluateConfig(**settings))
    assert len(store.runs()) == before
    return str(caught.value)


@pytest.mark.parametrize("settings", [{}, {"step": 20}, {"seed": 1, "baselines": False}])
def test_a_second_evaluation_of_the_same_is_refused_while_the_first_lives(
    store: RunStore, source: Run, live_job: str, settings: dict[str, Any]
) -> None:
    sentence = refusal(store, source, **settings)
    assert sentence == (
        f"a-evaluate ({live_job}) is starting and evaluates layers of the same checkpoint; "
        "wait for it to end, or stop it first"
    )


@pytest.mark.usefixtures("live_job")
@pytest.mark.parametrize("settings", [{"what": "labels"}, {"step": 10}, {"dataset": "cifar10"}])
def test_another_way_checkpoint_or_data_set_may_be_looked_at_meanwhile(
    store: RunStore, source: Run, settings: dict[str, Any]
) -> None:
    assert store.run(new_evaluate_run(store, source, EvaluateConfig(**settings))).source_run_id == source.id


@pytest.mark.usefixtures("live_job")
def test_another_run_may_be_evaluated_meanwhile(store: RunStore) -> None:
    other = add_source(store, "b")
    assert store.run(new_evaluate_run(store, other, EvaluateConfig())).source_run_id == other.id


@pytest.mark.usefixtures("live_job")
def test_a_job_of_the_newest_checkpoint_may_be_at_any_that_has_come_since_it_was_made(
    store: RunStore, source: Run
) -> None:
    put_checkpoint(store, source.id, 30)
    assert "the same checkpoint" in refusal(store, source, step=20)
    assert "the same checkpoint" in refusal(store, source)
    assert new_evaluate_run(store, source, EvaluateConfig(step=10))


def test_a_folder_is_the_same_however_it_is_written(
    store: RunStore, source: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path)
    new_evaluate_run(store, source, EvaluateConfig(dataset="folder:own"))
    assert "the same checkpoint" in refusal(store, source, dataset=f"folder:{tmp_path / 'own'}")


def test_a_job_that_waits_is_to_be_resumed_and_one_that_was_launched_counts_as_alive(
    store: RunStore, source: Run
) -> None:
    job_id = new_evaluate_run(store, source, EvaluateConfig(what="map"))
    assert refusal(store, source, what="map").endswith("of the same checkpoint; resume it instead")
    store.lifecycle(job_id, "launched", "launched", **identity().columns())
    assert "is starting" in refusal(store, source, what="map")


@pytest.mark.parametrize("ending", ["finished", "failed", "stopped", "paused"])
def test_a_job_that_has_ended_stands_in_nobodys_way(store: RunStore, source: Run, ending: str) -> None:
    job_id = new_evaluate_run(store, source, EvaluateConfig())
    store.lifecycle(job_id, ending, ending)
    assert new_evaluate_run(store, source, EvaluateConfig()) != job_id


def test_a_job_whose_process_died_stands_in_nobodys_way(store: RunStore, source: Run) -> None:
    job_id = new_evaluate_run(store, source, EvaluateConfig())
    store.lifecycle(job_id, "started", "started", **identity().columns())
    assert new_evaluate_run(store, source, EvaluateConfig()) != job_id


@pytest.fixture
def interrupted(store: RunStore, source: Run) -> str:
    """A job that died while it looked at the layers of the newest checkpoint."""
    job_id = new_evaluate_run(store, source, EvaluateConfig())
    store.lifecycle(job_id, "interrupted", "ended by SIGTERM", **identity().columns())
    return job_id


def test_an_interrupted_evaluation_is_not_resumed_while_an_equal_one_lives(
    store: RunStore, runs: Path, source: Run, interrupted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The two would overwrite each other's figures; whichever way the second is started."""
    live = new_evaluate_run(store, source, EvaluateConfig(step=20))
    store.lifecycle(live, "launched", "launched", **identity().columns())
    words = f"a-evaluate ({live}) is starting and evaluates layers of the same checkpoint; wait for it to end"
    with pytest.raises(BusyError, match=re.escape(words)):
        start_run(store, interrupted)
    assert main(["--runs-dir", str(runs), "--run", interrupted]) == ExitCode.TRY_AGAIN
    assert words in capsys.readouterr().err
    assert store.run(interrupted).lifecycle == "interrupted", "it can be resumed later"
    store.lifecycle(live, "finished", "finished")
    with only_evaluation(store, store.run(interrupted)):
        pass


@pytest.mark.parametrize("settings", [{"what": "labels"}, {"step": 10}, {"dataset": "cifar10"}])
def test_another_evaluation_stands_not_in_the_way_of_a_resume(
    store: RunStore, source: Run, interrupted: str, settings: dict[str, Any]
) -> None:
    live = new_evaluate_run(store, source, EvaluateConfig(**settings))
    store.lifecycle(live, "launched", "launched", **identity().columns())
    with only_evaluation(store, store.run(interrupted)):
        pass


def test_a_run_that_trains_is_never_in_the_way(store: RunStore, source: Run, live_job: str) -> None:
    with only_evaluation(store, source):
        assert store.run(live_job).lifecycle == "started"


def test_what_is_not_installed_is_told_before_a_job_is_made(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ConfigError, match=r"--backbone: timm:vit_tiny_patch16_224 needs `pip install"):
        new_pretrain_run(store, PretrainConfig(backbone="timm:vit_tiny_patch16_224", dataset="shapes"))
    source = store.run(new_pretrain_run(store, PretrainConfig(dataset="shapes")))
    put_checkpoint(store, source.id, 1)
    with pytest.raises(ConfigError, match=r"--projection: umap needs `pip install"):
        new_evaluate_run(store, source, EvaluateConfig(what="map", projection="umap"))
    assert [run.id for run in store.runs()] == [source.id]
