"""Evaluation of what can't be scored: a warning where there are too few labels, a refusal of other images."""

import shutil
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.trainer.data_files import write_folder
from trainer.evaluate_config import EvaluateConfig
from trainer.paths import checkpoint_dir
from trainer.run import main
from trainer.start import new_evaluate_run
from trainer.store import RunStore

TINY = [
    *("--image-size=16", "--backbone=resnet-narrow", "--head-width=8", "--projection-size=4", "--batch-size=4"),
    *("--epochs=1", "--num-workers=0", "--threads=1", "--device=cpu"),
]


def warnings(store: RunStore, run_id: str) -> list[tuple[str, str]]:
    """Kind and sentence of what the run warned of."""
    return [(event.kind, event.message) for event in store.events(run_id=run_id) if event.level == "warning"]


def train(runs: Path, *options: str) -> int:
    """A run of seconds in this process; its exit code."""
    return main(["--runs-dir", str(runs), "--name", "a", *TINY, *options])


def evaluate(runs: Path, store: RunStore) -> tuple[int, str]:
    """A job that scores the run `a`: its exit code and its id."""
    job_id = new_evaluate_run(store, store.find("a"), EvaluateConfig(device="cpu", threads=1))
    return main(["--runs-dir", str(runs), "--run", job_id]), job_id


def test_one_image_of_each_class_is_trained_on_and_not_scored(store: RunStore, runs: Path) -> None:
    assert train(runs, "--dataset=shapes", "--limit-per-class=1", "--limit-test-per-class=1") == 0
    run = store.find("a")
    skipped = dict(warnings(store, run.id))["evaluation-skipped"]
    assert skipped == "shapes has no class with two labelled train images, so nothing was scored"
    assert store.evaluations(run.id) == []
    assert [row["knn_top1"] for row in store.epochs(run.id)] == [None]


def test_a_class_of_one_image_beside_others_is_scored(store: RunStore, runs: Path, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "own", train=4, test=2)
    for number in range(1, 4):
        (root / "train" / "cat" / f"{number:04}.png").unlink()
    assert train(runs, f"--dataset=folder:{root}") == 0
    assert warnings(store, store.find("a").id) == []
    assert len(store.evaluations(store.find("a").id)) == 10


def test_the_tutorials_probe_is_a_third_figure_of_each_layer_on_request(
    store: RunStore, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_folder(tmp_path / "own", train=4, test=2)
    assert train(runs, f"--dataset=folder:{root}") == 0
    run = store.find("a")
    assert "linear-adamw" not in {row.protocol for row in store.evaluations(run.id)}
    job_id = new_evaluate_run(store, run, EvaluateConfig(device="cpu", threads=1, tutorial_probe=True))
    assert main(["--runs-dir", str(runs), "--run", job_id]) == 0
    made = [row for row in store.evaluations(run.id) if row.protocol == "linear-adamw"]
    assert {row.layer for row in made} == {"pixels", "untrained", "z", "g1", "h"}
    assert all(row.c is None and 0 <= (row.top1 or 0) <= (row.top5 or 0) <= 1 for row in made)
    assert "linear, AdamW" in capsys.readouterr().out


def test_a_job_on_unlabelled_images_alone_is_refused_and_the_end_of_training_only_warns(
    store: RunStore, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_folder(tmp_path / "own", train=0, test=0, unlabeled=5)
    assert train(runs, f"--dataset=folder:{root}") == 0
    reason = f"folder:{root} has no labelled train and test splits"
    assert ("evaluation-skipped", f"{reason}, so nothing was scored") in warnings(store, store.find("a").id)
    capsys.readouterr()
    assert evaluate(runs, store)[0] == 2
    assert f"--dataset: {reason}, so --what layers can't be scored; add" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["layers", "labels", "invariance", "finetune", "map"])
def test_a_supervised_run_of_one_view_can_be_looked_at_in_every_way(
    store: RunStore, runs: Path, tmp_path: Path, what: Literal["layers", "labels", "invariance", "finetune", "map"]
) -> None:
    root = write_folder(tmp_path / "own", train=6, test=6)
    quick = ("--no-evaluate-at-end", "--health-every=0", "--hold-out=0", f"--dataset=folder:{root}")
    assert train(runs, "--method=cross-entropy", "--views=1", *quick) == 0
    short: dict[str, dict[str, Any]]
    short = {"finetune": {"finetune_epochs": 1, "fractions": "100"}, "map": {"projection": "pca", "neighbours": 2}}
    wish = EvaluateConfig(device="cpu", threads=1, what=what, **short.get(what, {}))
    job_id = new_evaluate_run(store, store.find("a"), wish)
    assert main(["--runs-dir", str(runs), "--run", job_id]) == 0
    assert store.evaluations(store.find("a").id)
    assert EvaluateConfig.from_json(store.run(job_id).config).step == store.checkpoints(store.find("a").id)[0].step


def test_a_classifier_is_not_scored_on_the_classes_of_other_images(store: RunStore, runs: Path, tmp_path: Path) -> None:
    few, many = write_folder(tmp_path / "few", train=6, test=2), tmp_path / "many"
    for name in "abcdefgh":
        for split in ("train", "test"):
            shutil.copytree(few / split / "cat", many / split / name)
    quick = ("--no-evaluate-at-end", "--health-every=0", "--hold-out=0", f"--dataset=folder:{few}")
    assert train(runs, "--method=cross-entropy", "--views=1", *quick) == 0
    wish = EvaluateConfig(device="cpu", threads=1, dataset=f"folder:{many}")
    assert main(["--runs-dir", str(runs), "--run", new_evaluate_run(store, store.find("a"), wish)]) == 0
    made = store.evaluations(store.find("a").id)
    assert {row.layer for row in made} >= {"h", "logits"}
    assert {row.protocol for row in made} == {"knn", "linear"}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--backbone=resnet18", "backbone resnet18 instead of resnet-narrow"),
        ("--image-size=32", "image_size 32 instead of 16"),
        ("--normalisation=cifar10", "normalisation cifar10 instead of half"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_by_the_settings_that_differ(
    store: RunStore, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, words: str
) -> None:
    root = write_folder(tmp_path / "own", train=4, test=2)
    quick = ("--no-evaluate-at-end", "--health-every=0", f"--dataset=folder:{root}")
    assert train(runs, *quick) == 0
    assert main(["--runs-dir", str(runs), "--name", "b", *TINY, *quick, option]) == 0
    own, other = (checkpoint_dir(runs, store.find(name).id) for name in ("a", "b"))
    shutil.rmtree(own)
    shutil.copytree(other, own)
    capsys.readouterr()
    assert evaluate(runs, store)[0] == 2
    assert words in capsys.readouterr().err
    assert store.evaluations(store.find("a").id) == []


def test_a_job_and_training_on_other_images_than_the_runs_are_refused(
    store: RunStore, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_folder(tmp_path / "own", train=4, test=2, unlabeled=4)
    assert train(runs, f"--dataset=folder:{root}", "--no-evaluate-at-end") == 0
    assert evaluate(runs, store)[0] == 0, "the images are the same, whichever split was trained on"
    made = len(store.evaluations(store.find("a").id))
    (root / "test" / "dog" / "0000.png").unlink()
    capsys.readouterr()
    code, job_id = evaluate(runs, store)
    assert code == 2
    assert "are not those that a was trained with; put them back, or launch a new run" in capsys.readouterr().err
    assert store.run(job_id).lifecycle == "failed"
    assert len(store.evaluations(store.find("a").id)) == made == 10
    assert main(["--runs-dir", str(runs), "--fork", "a", "--epochs=9"]) == 2
    assert "are not those that a-fork began with; put them back, or launch a new run" in capsys.readouterr().err
    assert store.steps(store.find("a-fork").id) == []
