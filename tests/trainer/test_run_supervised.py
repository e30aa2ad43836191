"""Runs that learn from labels, from the command line to the store; and none that looks at those of `test`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.exits import code_of
from tests.trainer.data_files import write_folder
from tests.trainer.test_online import without_test
from trainer import checkpoint
from trainer.config import PretrainConfig
from trainer.data import Dataset, load
from trainer.drift import change_settings
from trainer.errors import UsageError
from trainer.evaluate_config import EvaluateConfig
from trainer.paths import checkpoint_dir
from trainer.run import main
from trainer.start import new_evaluate_run, new_pretrain_run
from trainer.store import RunStore

TINY = [
    *("--image-size=16", "--backbone=resnet-narrow", "--head-width=8", "--projection-size=4", "--batch-size=8"),
    *(
        "--epochs=2",
        "--num-workers=0",
        "--threads=1",
        "--device=cpu",
        "--limit-per-class=5",
        "--limit-test-per-class=2",
    ),
]
METHODS = ("simclr", "supcon", "cross-entropy")


def train(runs: Path, *options: str) -> int:
    """A run of seconds in this process; its exit code."""
    return main(["--runs-dir", str(runs), "--name", "a", "--dataset", "shapes", *TINY, *options])


@pytest.mark.parametrize(("method", "kind"), [("cross-entropy", "supervised"), ("supcon", "pretrain")])
def test_a_run_with_labels_is_of_its_kind_and_scored_on_what_it_held_out(
    store: RunStore, runs: Path, method: str, kind: str
) -> None:
    assert train(runs, "--method", method, "--hold-out", "0.2") == 0
    run = store.find("a")
    assert (run.kind, run.lifecycle, run.total_steps, run.steps_per_epoch) == (kind, "finished", 10, 5)
    assert [event.message for event in store.events(run_id=run.id) if event.kind == "created"] == [f"{kind} run made"]
    epochs = store.epochs(run.id)
    assert [row["val_batch_size"] for row in epochs] == [8, 8]  # of ten images
    assert None not in [row[name] for row in epochs for name in ("val_loss", "val_acc_top1", "knn_top1", "knn_top5")]
    layers = {row.layer for row in store.evaluations(run.id)}
    assert layers >= ({"h", "logits"} if kind == "supervised" else {"h", "z"})
    assert main(["--runs-dir", str(runs), "--resume-or-start", "a"]) == 0
    assert [one.id for one in store.runs()] == [run.id]


def test_a_run_that_holds_nothing_out_says_how_to_get_scores(store: RunStore, runs: Path) -> None:
    assert train(runs, "--method", "supcon", "--hold-out", "0", "--no-evaluate-at-end") == 0
    run = store.find("a")
    said = [event for event in store.events(run_id=run.id) if event.kind == "scores-skipped"]
    assert [(event.level, "--hold-out 0.1" in event.message) for event in said] == [("warning", True)]
    assert {row[name] for row in store.epochs(run.id) for name in ("val_loss", "knn_top1")} == {None}


@pytest.mark.parametrize("method", ["supcon", "cross-entropy"])
@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (lambda path: write_folder(path, classes=("cat",)), [], "needs labels of two classes or more"),
        (lambda path: write_folder(path, train=0, test=0, unlabeled=9), [], "has no train split"),
        (lambda path: write_folder(path, train=5), ["--limit-images=4"], "or a larger --limit-images"),
        (lambda path: write_folder(path, train=1), [], "give --hold-out 0"),
    ],
)
def test_labels_that_teach_nothing_end_the_run_before_anything_is_computed(
    store: RunStore,
    runs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    options: list[str],
    words: str,
    method: str,
) -> None:
    root = make(tmp_path / "own")
    assert train(runs, f"--dataset=folder:{root}", "--method", method, *options) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said
    run = store.find("a")
    assert (run.lifecycle, run.exit_code) == ("failed", 2)
    assert words in store.events(run_id=run.id)[-1].message
    assert store.steps(run.id) == store.epochs(run.id) == []
    assert store.metrics(run.id) == {}
    assert not checkpoint.steps_on_disk(checkpoint_dir(runs, run.id))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method=supcon", "--views=1"], "--views: supcon compares views of an image; give 2 or more"),
        (["--method=cross-entropy", "--no-negatives"], "--negatives: cross-entropy is not defined without them"),
        (["--method=supcon", "--split=unlabeled"], "--split: supcon learns from labels, and unlabeled has images"),
        (["--method=supcon", "--hold-out=0.6"], "--hold-out: 0.6 is out of bounds; give 0 to 0.5"),
        (["--method=byol"], "--method"),
    ],
)
def test_settings_that_contradict_the_method_make_no_run(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert code_of(lambda words: train(runs, *words), options) == 2
    assert words in capsys.readouterr().err
    assert store.runs() == []


@pytest.mark.parametrize("method", METHODS)
def test_training_never_looks_at_the_labels_of_test(
    store: RunStore, runs: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """They are replaced by what raises at any touch; the evaluation at the end, which does look, is the control."""

    def sealed(*arguments: Any, **options: Any) -> Dataset:
        return without_test(load(*arguments, **options))

    monkeypatch.setattr("trainer.pretrain.load_dataset", sealed)
    assert train(runs, "--method", method, "--no-evaluate-at-end") == 0
    run = store.find("a")
    assert run.lifecycle == "finished"
    assert len(store.epochs(run.id)) == 2
    assert store.epochs(run.id)[-1]["knn_top1"] is not None
    assert train(runs, "--method", method) == 1
    assert "AssertionError" in store.events(run_id=store.runs()[0].id)[-1].message


def test_a_supervised_run_takes_settings_and_evaluations_like_any_that_trains(store: RunStore) -> None:
    run = store.run(new_pretrain_run(store, PretrainConfig(method="cross-entropy"), name="a"))
    assert run.kind == "supervised"
    assert PretrainConfig.from_json(change_settings(store, run, {"num_workers": 5}).config).num_workers == 5
    with pytest.raises(UsageError, match="checkpoint"):
        new_evaluate_run(store, run, EvaluateConfig())


def test_a_last_batch_of_one_image_of_one_view_is_refused_before_training(
    store: RunStore, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--dataset=shapes", "--limit-per-class=3", "--limit-test-per-class=2", "--limit-images=29"]
    options += ["--image-size=16", "--backbone=resnet-narrow", "--num-workers=0", "--threads=1", "--device=cpu"]
    options += ["--method=cross-entropy", "--views=1", "--hold-out=0", "--no-drop-last", "--batch-size=4", "--epochs=1"]
    assert main(["--runs-dir", str(runs), *options]) == 2
    assert "--batch-size: 4 leaves one image for the last batch" in capsys.readouterr().err
    assert store.steps(store.runs()[0].id) == []
